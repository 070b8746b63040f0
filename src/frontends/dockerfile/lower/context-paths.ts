import { joinPath } from '../go-text.ts';

/** The paths that a local source has to send, sorted; none: all of it. */
export function contextPaths(paths: ReadonlySet<string>): string[] {
  if (paths.has('/')) return [];
  return [...paths].map((p) => joinPath('.', p.replace(/^\/+/, ''))).sort();
}
