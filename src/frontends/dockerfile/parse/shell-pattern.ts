/**
 * The patterns of `${x#p}`, `${x%p}` and `${x/p/r}`: `*` and `?`, with backslashes. A pattern is cut at its stars into
 * pieces of fixed length, which are found one after the other: no backtracking, whatever the pattern.
 */
import { textError } from '../located-error.ts';

/** A character, or undefined for any one. */
type Token = string | undefined;
type Piece = readonly Token[];

/** At least one piece; between two pieces is a star. */
export type ShellPattern = readonly Piece[];

export function parsePattern(text: string): ShellPattern {
  const pieces: Token[][] = [[]];
  const chars = Array.from(text);
  for (let i = 0; i < chars.length; i++) {
    const char = chars[i];
    const piece = pieces[pieces.length - 1];
    if (char === '*') pieces.push([]);
    else if (char === '?') piece.push(undefined);
    else if (char === '\\') {
      const next = chars[i + 1];
      if (next === '}' || next === '/') continue;
      if (next !== '*' && next !== '?' && next !== '\\') throw textError(`invalid escape '\\${next ?? '\ufffd'}'`);
      piece.push(next);
      i++;
    } else piece.push(char);
  }
  return pieces;
}

export function reversePattern(pattern: ShellPattern): ShellPattern {
  return pattern.toReversed().map((piece) => piece.toReversed());
}

function matchesAt(piece: Piece, text: readonly string[], at: number): boolean {
  if (at + piece.length > text.length) return false;
  return piece.every((token, i) => token === undefined || token === text[at + i]);
}

function findPiece(piece: Piece, text: readonly string[], from: number): number {
  for (let at = from; at + piece.length <= text.length; at++) if (matchesAt(piece, text, at)) return at;
  return -1;
}

function findLastPiece(piece: Piece, text: readonly string[], from: number): number {
  for (let at = text.length - piece.length; at >= from; at--) if (matchesAt(piece, text, at)) return at;
  return -1;
}

/** Where the first piece was put down, the end of the shortest or longest match from there; -1 when the rest is not there. */
function endFrom(pattern: ShellPattern, text: readonly string[], start: number, longest: boolean): number {
  let end = start + pattern[0].length;
  for (let i = 1; i < pattern.length; i++) {
    const last = i === pattern.length - 1;
    const at = last && longest ? findLastPiece(pattern[i], text, end) : findPiece(pattern[i], text, end);
    if (at < 0) return -1;
    end = at + pattern[i].length;
  }
  return end;
}

/** Length of the prefix of `text` that matches, or -1. */
export function prefixLength(pattern: ShellPattern, text: readonly string[], longest: boolean): number {
  return matchesAt(pattern[0], text, 0) ? endFrom(pattern, text, 0, longest) : -1;
}

/** The leftmost match from `from` on, as long as can be. */
export function findMatch(
  pattern: ShellPattern,
  text: readonly string[],
  from: number,
): { start: number; end: number } | undefined {
  const start = findPiece(pattern[0], text, from);
  if (start < 0) return undefined;
  const end = endFrom(pattern, text, start, true);
  return end < 0 ? undefined : { start, end };
}
