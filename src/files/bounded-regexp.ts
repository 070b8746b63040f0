/** Regular expressions made of clients' patterns: what they cost is bounded, whatever pattern and path are made for. */
import { LinearRegexp } from '../base/index.ts';

/** Trying all ways takes the path's length to the power of the wildcards: no more than this is left to JavaScript's own. */
const MAX_WAYS = 2_000_000;

/**
 * `source` must mean the same in JavaScript (flags `s` and `u`) and in Go's syntax; `wildcards` is how many of its parts match
 * texts of any length. Throws where it is none.
 */
export function boundedRegExp(source: string, wildcards: number): (path: string) => boolean {
  const quick = new RegExp(source, 'su');
  if (wildcards <= 1) return (path) => quick.test(path);
  const steady = new LinearRegexp(`(?s)${source}`);
  return (path) => (path.length ** wildcards <= MAX_WAYS ? quick : steady).test(path);
}
