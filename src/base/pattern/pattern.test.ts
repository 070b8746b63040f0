import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BuildError, Code } from '../errors.ts';
import { linearPattern, StepBudget } from './index.ts';

const matches = (pattern: string, text: string): boolean => linearPattern(pattern).test(text, new StepBudget(1e6));

void test('what JavaScript matches too', () => {
  const texts = ['', 'a', 'abc', 'xabcx', 'aab', 'foo-12', 'A\nb', 'a]b', '😀', 'word other', 'aaaa', 'a{2', '-', '^'];
  const patterns = [
    'a|b|',
    'a.c',
    '^abc$',
    'a+b',
    '(?:ab|a)b?c',
    '[a-c]+$',
    '[^a-c]',
    '\\d{2}',
    '\\d{3,}',
    'a{2,3}b',
    '^a{5}',
    '\\bother\\b',
    '\\Bord',
    '[\\w-]+',
    '[]x]',
    'x*',
    '(a*)*b',
    '(a|aa)+$',
    '\\.',
    '\\x61',
    '^.$',
    'o{2}|12',
    '[+\\-]',
    '\\S\\s\\S',
    '(?<n>b)c',
  ];
  for (const pattern of patterns) {
    // A bracket that comes first is a member of the set in Go, none in JavaScript.
    const own = new RegExp(pattern === '[]x]' ? '[\\]x]' : pattern, 'u');
    for (const text of texts)
      assert.equal(matches(pattern, text), own.test(text), `${pattern} in ${JSON.stringify(text)}`);
  }
});

void test("what is Go's own", () => {
  assert.ok(matches('(?i)ABC', 'xabc'));
  assert.ok(matches('a(?i:B)c', 'abc') && !matches('a(?i:B)c', 'aBC'));
  assert.ok(matches('(?s)a.b', 'a\nb') && !matches('a.b', 'a\nb'));
  assert.ok(matches('(?m)^b$', 'a\nb\nc') && !matches('^b$', 'a\nb\nc'));
  assert.ok(matches('[[:upper:]][[:^digit:]]', 'Xy') && !matches('[[:upper:]]', 'x'));
  assert.ok(matches('\\A\\Q[a.b]\\E\\z', '[a.b]'));
  assert.ok(matches('(?P<name>\\pL)\\p{Greek}\\x{1F600}', 'xα😀'));
});

void test('what is no pattern says so', () => {
  for (const bad of [
    '(',
    ')',
    '[a',
    '*',
    'a**b(',
    '\\',
    '\\8',
    '(?=a)',
    '(?!a)',
    '\\1',
    'a{1001}',
    '[b-a]',
    '[[:x:]]',
    '\\p{Nothing}',
    '(?<>a)',
  ])
    assert.throws(() => linearPattern(bad), SyntaxError, bad);
  assert.throws(() => linearPattern('('.repeat(300)), /too deeply/);
  assert.throws(() => linearPattern('((a{100}){100}){100}'), /too large/);
});

void test('patterns that others try for ever end', () => {
  const text = `${'a'.repeat(300)}b`;
  const evil = linearPattern('^(a+)+$');
  assert.equal(evil.test(text, new StepBudget(100_000)), false);
  assert.equal(matches('(a|a)*c', text), false);
  assert.throws(
    () => linearPattern('(a?){300}a{300}c').test(text, new StepBudget(10_000)),
    (error: BuildError) => error.code === Code.ResourceExhausted,
  );
});
