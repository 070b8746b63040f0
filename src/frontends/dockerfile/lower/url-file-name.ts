import { baseName } from '../go-text.ts';

/** What a download is called: the last part of the URL's path. */
export function urlFileName(url: string): string {
  const unnamed = '__unnamed__';
  try {
    const base = baseName(decodeURIComponent(url.replace(/^https?:\/\/[^/?#]*/, '').replace(/[?#].*$/s, '')));
    return base === '.' || base === '/' ? unnamed : base;
  } catch {
    // An URL that does not decode has no name to give.
    return unnamed;
  }
}
