/** `<<NAME` words and what they say about the body that follows. */
import { EMPTY_ENV, expandWord } from './shell-words.ts';

export interface Heredoc {
  readonly name: string;
  readonly fileDescriptor: number;
  /** Variables in the body are expanded: no part of the name was quoted. */
  readonly expand: boolean;
  /** `<<-`: leading tabs do not count. */
  readonly chomp: boolean;
  readonly content: string;
}

const WORD = /^(\d*)<<(-?)\s*([^<]*)$/;

function countQuotes(text: string): number {
  return text.replace(/[^'"]/g, '').length;
}

/** Undefined when the word is no heredoc. */
export function parseHeredocWord(word: string): Heredoc | undefined {
  const match = WORD.exec(word);
  if (match === null || match[3] === '') return undefined;
  const options = { escape: '\\', keepUnset: true };
  const words = expandWord(match[3], EMPTY_ENV, options).words;
  if (words.length !== 1) return undefined;
  const raw = expandWord(match[3], EMPTY_ENV, { ...options, rawQuotes: true }).words;
  return {
    name: words[0],
    fileDescriptor: Number(match[1] || '0'),
    expand: countQuotes(words[0]) === countQuotes(raw[0] ?? ''),
    chomp: match[2] === '-',
    content: '',
  };
}

/** {@link parseHeredocWord} for words that were accepted before: what does not parse is none. */
export function findHeredocWord(word: string): Heredoc | undefined {
  try {
    return parseHeredocWord(word);
  } catch {
    return undefined;
  }
}

export function heredocsInLine(line: string): Heredoc[] {
  let words: readonly string[];
  try {
    words = expandWord(line, EMPTY_ENV, { escape: '\\', rawQuotes: true, rawEscapes: true, keepUnset: true }).words;
  } catch {
    return [];
  }
  return words.map(parseHeredocWord).filter((h) => h !== undefined);
}

export function chompContent(content: string): string {
  return content.replace(/^\t+/gm, '');
}
