/** An instruction's line in three parts: its word, its leading `--flags`, the rest. */
import { isSpace, trimSpace } from '../go-text.ts';

export const BLANKS = /[\t\v\f\r ]+/;

export interface CommandParts {
  readonly command: string;
  readonly flags: readonly string[];
  readonly rest: string;
}

export function splitCommand(line: string, escape: string): CommandParts {
  const text = trimSpace(line);
  const blank = BLANKS.exec(text);
  if (blank === null) return { command: text, flags: [], rest: '' };
  const { flags, rest } = takeFlags(text.slice(blank.index + blank[0].length), escape);
  return { command: text.slice(0, blank.index), flags, rest: trimSpace(rest) };
}

/** Reads one word that begins at `at`, quotes and escapes taken away. */
function readWord(line: string, at: number, escape: string): { word: string; quoted: boolean; end: number } {
  let word = '';
  let quoted = false;
  let inQuote: string | undefined;
  let pos = at;
  for (; pos < line.length; pos++) {
    const char = line[pos];
    if (inQuote === undefined && isSpace(char)) break;
    if (char === inQuote) inQuote = undefined;
    else if (inQuote === undefined && (char === "'" || char === '"')) {
      inQuote = char;
      quoted = true;
    } else if (char === escape) {
      if (pos + 1 < line.length) word += line[++pos];
    } else word += char;
  }
  return { word, quoted, end: pos };
}

function takeFlags(line: string, escape: string): { flags: string[]; rest: string } {
  const flags: string[] = [];
  let pos = 0;
  for (;;) {
    while (pos < line.length && isSpace(line[pos])) pos++;
    if (pos >= line.length) return { flags, rest: '' };
    if (!line.startsWith('--', pos)) return { flags, rest: line.slice(pos) };
    const { word, quoted, end } = readWord(line, pos, escape);
    if (word === '--') return { flags, rest: line.slice(end) };
    if (quoted || word !== '') flags.push(word);
    pos = end;
  }
}
