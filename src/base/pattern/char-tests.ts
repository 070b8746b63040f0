/** Tests of single characters, by their code points. */

export type CharTest = (code: number) => boolean;

export const between =
  (from: number, to: number): CharTest =>
  (code) =>
    code >= from && code <= to;
export const anyOf =
  (tests: readonly CharTest[]): CharTest =>
  (code) =>
    tests.some((test) => test(code));
export const not =
  (test: CharTest): CharTest =>
  (code) =>
    !test(code);
const isDigit = between(0x30, 0x39);
const isUpper = between(0x41, 0x5a);
const isLower = between(0x61, 0x7a);
export const isWord = anyOf([isDigit, isUpper, isLower, (code) => code === 0x5f]);
const isSpace = (code: number): boolean => code === 0x20 || code === 9 || code === 10 || code === 12 || code === 13;

export const PERL: Readonly<Record<string, CharTest>> = { d: isDigit, w: isWord, s: isSpace };
export const POSIX: Readonly<Record<string, CharTest>> = {
  alnum: anyOf([isDigit, isUpper, isLower]),
  alpha: anyOf([isUpper, isLower]),
  ascii: between(0, 0x7f),
  blank: (code) => code === 0x20 || code === 9,
  cntrl: anyOf([between(0, 0x1f), between(0x7f, 0x7f)]),
  digit: isDigit,
  graph: between(0x21, 0x7e),
  lower: isLower,
  print: between(0x20, 0x7e),
  punct: anyOf([between(0x21, 0x2f), between(0x3a, 0x40), between(0x5b, 0x60), between(0x7b, 0x7e)]),
  space: between(9, 13),
  upper: isUpper,
  word: isWord,
  xdigit: anyOf([isDigit, between(0x41, 0x46), between(0x61, 0x66)]),
};
export function foldCase(test: CharTest): CharTest {
  return (code) => {
    if (test(code)) return true;
    const char = String.fromCodePoint(code);
    return test(char.toLowerCase().codePointAt(0) ?? 0) || test(char.toUpperCase().codePointAt(0) ?? 0);
  };
}
