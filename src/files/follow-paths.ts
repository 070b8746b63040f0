/**
 * Paths to include patterns: each path is followed through symlinks, component by component, and every link on the way as well
 * as where it ends is named (fsutil/followlinks.go). Wildcards in a component stand for the links among what they match.
 */
import { lstatSync, readdirSync, readlinkSync } from 'node:fs';
import { posix } from 'node:path';
import { wrapError } from '../base/index.ts';
import { hasWildcards, matchPath } from './glob.ts';

function isMissing(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code;
  return code === 'ENOENT' || code === 'ENOTDIR';
}

/** Where a link points, as a path from the root; undefined when it is no link or not there. */
function readTarget(root: string, path: string): string | undefined {
  if (path === '.') return undefined;
  try {
    if (!lstatSync(`${root}/${path}`).isSymbolicLink()) return undefined;
    return posix.resolve('/', posix.dirname(path), readlinkSync(`${root}/${path}`));
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw wrapError(error, `failed to read ${path}`);
  }
}

/** undefined: not a link. Without hits a wildcard stands for no links. */
function targetsOf(root: string, path: string): string[] | undefined {
  const base = posix.basename(path);
  if (!hasWildcards(base)) {
    const target = readTarget(root, path);
    return target === undefined ? undefined : [target];
  }
  const dir = posix.dirname(path);
  try {
    const names = readdirSync(`${root}/${dir}`).filter((name) => matches(base, name));
    const targets = names.flatMap((name) => readTarget(root, posix.join(dir, name)) ?? []);
    return targets.length === 0 ? undefined : targets;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw wrapError(error, 'readdir');
  }
}

function matches(pattern: string, name: string): boolean {
  try {
    return matchPath(pattern, name);
  } catch {
    return false;
  }
}

/** As the kernel: longer chains are circles. */
const MAX_LINKS = 255;

/** Sorted patterns without those below others; undefined: the root is among them, there is nothing to filter. */
export function followPaths(root: string, paths: readonly string[]): string[] | undefined {
  const resolved = new Set<string>();
  const met = new Set<string>();
  const pending = paths.map((path) => ({ path, links: 0 }));
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    // Joined to the root first: `..` leads nowhere else.
    const components = posix
      .join('/', next.path)
      .split('/')
      .filter((c) => c !== '');
    let current = '.';
    for (let i = 0; ; i++) {
      current = posix.join(current, components[i] ?? '.');
      const isLast = i >= components.length - 1;
      const targets = targetsOf(root, current);
      if (targets === undefined && !isLast) continue;
      resolved.add(current);
      const rest = components.slice(i + 1).join('/');
      if (targets === undefined || next.links >= MAX_LINKS || met.has(`${current}\0${rest}`)) break;
      met.add(`${current}\0${rest}`);
      for (const target of targets) pending.push({ path: posix.join(target, rest), links: next.links + 1 });
      break;
    }
  }
  return dropNested([...resolved].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))));
}

/** `sorted` without what lies below another one; undefined when `.` is in it. */
export function dropNested(sorted: readonly string[]): string[] | undefined {
  const out: string[] = [];
  for (const path of sorted) {
    if (path === '.') return undefined;
    if (out.length === 0 || !path.startsWith(`${out.at(-1)}/`)) out.push(path);
  }
  return out;
}
