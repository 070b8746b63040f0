import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LocatedError } from '../located-error.ts';
import { decodeSource, detectSyntax, EMPTY_ENV, expandWord, findDirective, parseDockerfile } from './index.ts';
import type { Env } from './index.ts';

const lines = (text: string): unknown[] =>
  parseDockerfile(text).nodes.map((n) => [n.command, ...n.flags, '|', ...n.args]);

const failure = (work: () => unknown): LocatedError => {
  try {
    work();
  } catch (error) {
    assert.ok(error instanceof LocatedError, String(error));
    return error;
  }
  throw new Error('nothing was thrown');
};

void test('instructions, comments and continuations', () => {
  const cases: readonly (readonly [string, unknown[]])[] = [
    ['FROM a AS b', [['FROM', '|', 'a', 'AS', 'b']]],
    [
      'FROM a\r\nRUN x\r\n',
      [
        ['FROM', '|', 'a'],
        ['RUN', '|', 'x'],
      ],
    ],
    ['# c\n  from a', [['from', '|', 'a']]],
    ['RUN a \\\n  b', [['RUN', '|', 'a   b']]],
    ['RUN a \\\n# gone\n  b \\  \n c', [['RUN', '|', 'a   b  c']]],
    ['RUN a \\\n\n b', [['RUN', '|', 'a  b']]],
    [
      'RUN a \\\\\nRUN b',
      [
        ['RUN', '|', 'a \\\\'],
        ['RUN', '|', 'b'],
      ],
    ],
    ['# escape=`\nRUN a `\nb', [['RUN', '|', 'a b']]],
    ['COPY --from=x --chown="a b" c d', [['COPY', '--from=x', '--chown=a b', '|', 'c', 'd']]],
    ['COPY -- --a b', [['COPY', '|', '--a', 'b']]],
    ['COPY ["a b", "c"]', [['COPY', '|', 'a b', 'c']]],
    ["CMD ['a']", [['CMD', '|', "['a']"]]],
    ['ENV a b c', [['ENV', '|', 'a', 'b c', '']]],
    ['ENV a="b c" d=\\ e', [['ENV', '|', 'a', '"b c"', '=', 'd', '\\ e', '=']]],
    ['ARG a b=c', [['ARG', '|', 'a', 'b=c']]],
    ['HEALTHCHECK --interval=5s CMD ["a"]', [['HEALTHCHECK', '--interval=5s', '|', 'CMD', 'a']]],
    ['ONBUILD RUN x y', [['ONBUILD', '|', 'RUN', 'x y']]],
    ['MAINTAINER me and you', [['MAINTAINER', '|', 'me and you']]],
  ];
  for (const [text, expected] of cases) assert.deepEqual(lines(text), expected, text);
});

void test('positions, comments above and empty continuation lines', () => {
  const parsed = parseDockerfile('# syntax=x\n# a one\nFROM a\n\n# b\n#\n# c\nRUN x \\\n\n y\n');
  assert.deepEqual(
    parsed.nodes.map((n) => [n.location.map((r) => r.start), n.comments]),
    [
      [[3], ['a one']],
      [[8, 9, 10], ['c']],
    ],
  );
  assert.deepEqual(parsed.emptyContinuations, [10]);
});

void test('heredocs', () => {
  const { nodes } = parseDockerfile('RUN <<A <<-\'B\'\none\r\nA\n\ttwo\n\tB\nCOPY <<C /x\n$y\nC\nRUN ["<<D"]');
  assert.deepEqual(
    nodes.map((n) => n.heredocs.map((h) => [h.name, h.expand, h.chomp, h.content])),
    [
      [
        ['A', true, false, 'one\r\n'],
        ['B', false, true, '\ttwo\n'],
      ],
      [['C', true, false, '$y\n']],
      [],
    ],
  );
  const error = failure(() => parseDockerfile('FROM a\nRUN <<E\nx\n'));
  assert.equal(error.message, 'unterminated heredoc');
  assert.deepEqual(
    error.locations[0].map((r) => r.start),
    [2, 3],
  );
});

void test('errors have upstream texts', () => {
  const cases: readonly (readonly [string, string])[] = [
    ['', 'file with no instructions'],
    ['# escape=x\nFROM a', "invalid escape token 'x' does not match ` or \\"],
    ['# syntax=a\n# syntax=b\nFROM a', 'only one syntax parser directive can be used'],
    ['ENV a', 'ENV must have two arguments'],
    ['ENV a=b c', 'Syntax error - can\'t find = in "c". Must be of the form: name=value'],
    ['CMD ["a", 1]', 'when using JSON array syntax, arrays must be comprised of strings only'],
    [`FROM a\nRUN ${'x'.repeat(70_000)}\n`, 'dockerfile line greater than max allowed size of 65535'],
  ];
  for (const [text, message] of cases) assert.equal(failure(() => parseDockerfile(text)).message, message);
  assert.match(failure(() => decodeSource(Buffer.from('FROM a\n\0'))).message, /null byte on line 2/);
});

void test('directives', () => {
  assert.equal(detectSyntax('# syntax = a/b:c  x\nFROM a')?.value, 'a/b:c');
  assert.equal(detectSyntax('#!/bin/x\n// syntax=z\n')?.value, 'z');
  assert.equal(detectSyntax('{"syntax": "j"}')?.value, 'j');
  assert.equal(detectSyntax('FROM a\n# syntax=b'), undefined);
  assert.equal(findDirective('check', '#check=skip=all\n')?.full, 'skip=all');
});

const env = (values: Record<string, string>): Env => ({ get: (n) => values[n], keys: () => Object.keys(values) });

void test('expansion', () => {
  const values = env({ a: 'foobarbaz', e: '', two: 'x y', p: '/a/b/c.tar.gz' });
  const cases: readonly (readonly [string, string])[] = [
    ['$a', 'foobarbaz'],
    ['${a}b', 'foobarbazb'],
    ["'$a'", '$a'],
    ['"$a \\$a \\x"', 'foobarbaz $a \\x'],
    ['\\$a', '$a'],
    ['$', '$'],
    ['$u.', '.'],
    ['${u:-d}', 'd'],
    ['${e:-d}${e-d}', 'd'],
    ['${u-${a:+z}}', 'z'],
    ['${e:+d}${e+d}', 'd'],
    ['${a:?no}', 'foobarbaz'],
    ['${a#*b}', 'arbaz'],
    ['${a##*b}', 'az'],
    ['${a%b*}', 'foobar'],
    ['${a%%b*}', 'foo'],
    ['${p##*/}', 'c.tar.gz'],
    ['${p%.*}', '/a/b/c.tar'],
    ['${a/ba?/X}', 'fooXbaz'],
    ['${a//ba?/X}', 'fooXX'],
    ['${p//\\//-}', '-a-b-c.tar.gz'],
    ['$1$*x', 'x'],
  ];
  for (const [word, text] of cases) assert.equal(expandWord(word, values, { escape: '\\' }).text, text, word);
  assert.deepEqual(expandWord('$two "$two"', values, { escape: '\\' }).words, ['x', 'y', 'x y']);
  assert.equal(expandWord('$a $u ${u:-x}', values, { escape: '\\', keepUnset: true }).text, 'foobarbaz $u ${u:-x}');
  const { matched, unmatched } = expandWord('$a $u', values, { escape: '\\' });
  assert.deepEqual([[...matched], [...unmatched]], [['a'], ['u']]);
});

void test('expansion errors', () => {
  const cases: readonly (readonly [string, string])[] = [
    ['${a', 'failed to process "${a": unsupported modifier (\ufffd) in substitution'],
    ['${', `failed to process "\${": syntax error: missing '}'`],
    ['${}', 'failed to process "${}": syntax error: bad substitution'],
    ['${a:#x}', 'failed to process "${a:#x}": unsupported modifier (:#) in substitution'],
    ['${u:?}', 'failed to process "${u:?}": u: is not allowed to be unset'],
    ['"a', 'failed to process "\\"a": unexpected end of statement while looking for matching double-quote'],
  ];
  for (const [word, message] of cases) {
    assert.throws(() => expandWord(word, EMPTY_ENV, { escape: '\\' }), { message });
  }
  assert.throws(() => expandWord('${a:-'.repeat(10_000), EMPTY_ENV, { escape: '\\' }), /nested too deeply/);
});
