/** "Did you mean": the nearest of some words, at most two edits away. */
import { suffixError } from './located-error.ts';
import type { BuildError } from '../../base/index.ts';

const MAX_DISTANCE = 3;

function distance(a: string, b: string): number {
  if (Math.abs(a.length - b.length) >= MAX_DISTANCE) return MAX_DISTANCE;
  let previous = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = previous[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1);
      row.push(Math.min(previous[j] + 1, row[j - 1] + 1, change));
    }
    previous = row;
  }
  return previous[b.length];
}

/** Undefined when `word` itself is among the options, or nothing is near. */
export function suggest(word: string, options: readonly string[], caseSensitive: boolean): string | undefined {
  const wanted = caseSensitive ? word : word.toLowerCase();
  let best: string | undefined;
  let bestDistance = MAX_DISTANCE;
  for (const option of options) {
    const candidate = caseSensitive ? option : option.toLowerCase();
    if (candidate === wanted) return undefined;
    const d = distance(wanted, candidate);
    if (d < bestDistance) {
      best = candidate;
      bestDistance = d;
    }
  }
  if (best === undefined || caseSensitive) return best;
  // The answer has the case of the word.
  return word === word.toUpperCase() && word !== word.toLowerCase() ? best.toUpperCase() : best;
}

export function withSuggestion(
  error: BuildError,
  word: string,
  options: readonly string[],
  caseSensitive: boolean,
): BuildError {
  const found = suggest(word, options, caseSensitive);
  return found === undefined ? error : suffixError(error, ` (did you mean ${found}?)`);
}
