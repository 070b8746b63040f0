/** The forms in which instructions take their arguments. */
import { cut, isSpace, quote, trimStart } from '../go-text.ts';
import { textError } from '../located-error.ts';
import { BLANKS } from './split-command.ts';

export interface Arguments {
  readonly args: readonly string[];
  /** They were a JSON array. */
  readonly json: boolean;
}

type Form = (rest: string, escape: string) => Arguments;

const plain = (args: readonly string[]): Arguments => ({ args, json: false });

/** Undefined when it is no JSON array at all; throws when it is one of something else than strings. */
function jsonArray(rest: string): readonly string[] | undefined {
  const text = trimStart(rest);
  if (!text.startsWith('[')) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const list = value as unknown[];
  if (list.every((item) => typeof item === 'string')) return list;
  throw textError('when using JSON array syntax, arrays must be comprised of strings only');
}

const whole: Form = (rest) => plain(rest === '' ? [] : [rest]);

const blankSeparated: Form = (rest) => plain(rest === '' ? [] : rest.split(BLANKS));

const jsonOrWhole: Form = (rest, escape) => {
  const list = jsonArray(rest);
  return list === undefined ? whole(rest, escape) : { args: list, json: true };
};

const jsonOrList: Form = (rest, escape) => {
  const list = jsonArray(rest);
  return list === undefined ? blankSeparated(rest, escape) : { args: list, json: true };
};

const healthcheck: Form = (rest, escape) => {
  let end = 0;
  while (end < rest.length && !isSpace(rest[end])) end++;
  if (end === 0) return plain([]);
  const { args, json } = jsonOrWhole(trimStart(rest.slice(end)), escape);
  return { args: [rest.slice(0, end), ...args], json };
};

/** Words with their quotes and escapes, which expansion takes away later. */
function words(rest: string, escape: string): string[] {
  const chars = Array.from(rest);
  const found: string[] = [];
  let at = 0;
  while (at < chars.length) {
    if (isSpace(chars[at])) {
      at++;
      continue;
    }
    let word = '';
    let inQuote: string | undefined;
    for (; at < chars.length; at++) {
      const char = chars[at];
      if (inQuote === undefined && isSpace(char)) break;
      if (char === escape && inQuote !== "'") {
        // An escape at the very end means nothing.
        if (at + 1 < chars.length) word += char + chars[++at];
        continue;
      }
      if (char === inQuote) inQuote = undefined;
      else if (inQuote === undefined && (char === "'" || char === '"')) inQuote = char;
      word += char;
    }
    if (word !== '') found.push(word);
  }
  return found;
}

const wordList: Form = (rest, escape) => plain(words(rest, escape));

/** Triples of key, value and what stood between them: `=`, or nothing in the old form. */
function pairs(instruction: string): Form {
  return (rest, escape) => {
    const list = words(rest, escape);
    if (list.length === 0) return plain([]);
    if (!list[0].includes('=')) {
      const blank = BLANKS.exec(rest);
      if (blank === null) throw textError(`${instruction} must have two arguments`);
      return plain([rest.slice(0, blank.index), rest.slice(blank.index + blank[0].length), '']);
    }
    return plain(
      list.flatMap((word) => {
        const [key, value, found] = cut(word, '=');
        if (!found) {
          throw textError(`Syntax error - can't find = in ${quote(word)}. Must be of the form: name=value`);
        }
        return [key, value, '='];
      }),
    );
  };
}

/** By lower-case instruction. ONBUILD is missing: its argument is an instruction. */
export const ARGUMENT_FORMS: ReadonlyMap<string, Form> = new Map([
  ['add', jsonOrList],
  ['arg', wordList],
  ['cmd', jsonOrWhole],
  ['copy', jsonOrList],
  ['entrypoint', jsonOrWhole],
  ['env', pairs('ENV')],
  ['expose', blankSeparated],
  ['from', blankSeparated],
  ['healthcheck', healthcheck],
  ['label', pairs('LABEL')],
  ['maintainer', whole],
  ['run', jsonOrWhole],
  ['shell', jsonOrWhole],
  ['stopsignal', whole],
  ['user', whole],
  ['volume', jsonOrList],
  ['workdir', whole],
]);

export const INSTRUCTION_NAMES: readonly string[] = [...ARGUMENT_FORMS.keys(), 'onbuild'].map((n) => n.toUpperCase());
