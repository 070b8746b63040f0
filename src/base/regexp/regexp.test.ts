import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LinearRegexp, quoteRegexp, StepBudget } from './index.ts';

void test('patterns that JavaScript reads the same way match the same', () => {
  const patterns = [
    'abc',
    '^a.c$',
    'a|bc|',
    '(a|ab)(c|bcd)(d*)',
    'x*',
    '(x+x+)+y',
    '[a-c]+[^x]?',
    '\\d{2,3}-\\w+',
    'a{2}b{1,}c{0,1}',
    '^$',
    '(?:ab)+?c',
    '\\bfoo\\b',
    'fo\\Bo',
    '[\\d.-]+$',
    'a{,2}',
    '[\\]]',
    '((a)|b)*c',
    '.*?b',
    '(a*)*b',
    '^(a|aa)+$',
    '[+\\-]',
    '\\S\\s\\S',
    'o{2}|12',
  ];
  const texts = [
    '',
    'abc',
    'abcd',
    'xxxxxxy',
    'aab',
    'foo bar',
    '12-ab',
    'a{,2}',
    'a\nc',
    ']',
    'ababc',
    '1.2.3-4',
    'babc',
  ];
  for (const pattern of patterns) {
    const ours = new LinearRegexp(pattern);
    const theirs = new RegExp(pattern, 'u'.repeat(pattern.includes('{,') ? 0 : 1));
    for (const text of texts) {
      assert.equal(ours.test(text), theirs.test(text), `${pattern} on ${JSON.stringify(text)}`);
      const match = theirs.exec(text);
      assert.equal(ours.expand(text, '<$0>'), match === null ? undefined : `<${match[0]}>`, `${pattern} on ${text}`);
      // Go leaves out an empty match right behind another one.
      if (theirs.test('')) continue;
      assert.equal(ours.replaceAll(text, '[${0}]'), text.replaceAll(new RegExp(theirs, 'g'), '[$&]'), pattern);
    }
  }
});

void test("Go's own syntax", () => {
  const holds = (pattern: string, text: string): void => assert.ok(new LinearRegexp(pattern).test(text), pattern);
  const fails = (pattern: string, text: string): void => assert.ok(!new LinearRegexp(pattern).test(text), pattern);
  holds('(?i)ABC[d-f]', 'xabcE');
  fails('a(?i:b)C', 'abc');
  holds('a(?i:B)c', 'abc');
  fails('a.c', 'a\nc');
  holds('(?s)a.c', 'a\nc');
  holds('(?m)^b$', 'a\nb\nc');
  fails('^b$', 'a\nb\nc');
  holds('\\Aab\\z', 'ab');
  holds('\\Qa.*b\\E+', 'a.*bbb');
  fails('\\Qa.*b\\E', 'axxb');
  holds('^[[:alpha:]_]+[[:^digit:]]$', 'ab_-');
  holds('^\\p{Greek}+\\pL\\PN$', 'αβγ!');
  holds('^[\\x41-\\x{43}\\060]+$', 'ABC0');
  holds('^😀+$', '😀😀');
  // A bracket that comes first is a member of the set.
  holds('^a[]x]b$', 'a]b');
});

void test('groups in templates', () => {
  const regexp = new LinearRegexp('^docker-image://(?P<host>[^/]+)/(.*):(.*)$');
  const text = 'docker-image://docker.io/library/golang:1.19';
  assert.equal(regexp.expand(text, '$host|${2}|$3|$$|$9|$3x|${3}x'), 'docker.io|library/golang|1.19|$|||1.19x');
  assert.equal(new LinearRegexp('(a)(b)?').replaceAll('xaxab', '[$2$1]'), 'x[a]x[ba]');
  assert.equal(new LinearRegexp('a|bc|').replaceAll('abcd', '[$0]'), '[a][bc]d[]');
  assert.equal(new LinearRegexp('a+?').replaceAll('aaa', 'b'), 'bbb');
  assert.equal(new LinearRegexp('q').expand('a', 'x'), undefined);
  assert.ok(new LinearRegexp(`^${quoteRegexp('a.b*c(d)[e]{2}\\$^|+?')}$`).test('a.b*c(d)[e]{2}\\$^|+?'));
});

void test('what Go refuses is refused with its words', () => {
  const cases: [string, string][] = [
    ['a(b', 'missing closing ): `a(b`'],
    ['a)b', 'unexpected ): `a)b`'],
    ['a[b', 'missing closing ]: `[b`'],
    ['*a', 'missing argument to repetition operator: `*`'],
    ['a**', 'invalid nested repetition operator: `**`'],
    ['a{2,1}', 'invalid repeat count: `{2,1}`'],
    ['a{1001}', 'invalid repeat count: `{1001}`'],
    ['[b-a]', 'invalid character class range: `b-a`'],
    ['\\q', 'invalid escape sequence: `\\q`'],
    ['a\\', 'trailing backslash at end of expression: ``'],
    ['(?=a)', 'invalid or unsupported Perl syntax: `(?=`'],
    ['(?<!a)', 'invalid or unsupported Perl syntax: `(?<!`'],
    ['(?P<a>x)(?P<a>y)', 'duplicate capture group name: `a`'],
    ['(a)\\8', 'invalid escape sequence: `\\8`'],
    ['[[:foo:]]', 'invalid character class range: `[:foo:]`'],
    ['\\p{Nowhere}', 'invalid character class range: `\\p{Nowhere}`'],
  ];
  for (const [pattern, text] of cases) {
    assert.throws(() => new LinearRegexp(pattern), { code: 3, message: `error parsing regexp: ${text}` }, pattern);
  }
});

void test('patterns made to take for ever do not', () => {
  const steps = (pattern: string, text: string): boolean => new LinearRegexp(pattern).test(text);
  // Each of these takes a backtracking matcher longer than anyone waits.
  assert.equal(steps('(x+x+)+y', 'x'.repeat(2000)), false);
  assert.equal(steps('^(a|a)*$', `${'a'.repeat(2000)}b`), false);
  assert.equal(steps(`${'a?'.repeat(30)}${'a'.repeat(30)}`, 'a'.repeat(30)), true);
  assert.throws(() => steps('(?:x{1000}){1000}', 'x'), /expression too large/);
  assert.throws(() => steps('(?:(?:(?:){1000}){1000}){1000}', 'x'), /expression too large/);
  assert.throws(() => steps('('.repeat(5000), 'x'), /nests too deeply/);
  assert.throws(() => steps('()'.repeat(2000), 'x'.repeat(4000)), { code: 8 });
  assert.throws(() => steps('(.*)'.repeat(500), 'x'.repeat(20_000)), { code: 8 });
  assert.throws(() => new LinearRegexp('a'.repeat(100_000)), /too large/);
  const budget = new StepBudget(1000);
  assert.throws(
    () => {
      for (;;) new LinearRegexp('a').test('b'.repeat(100), budget);
    },
    { code: 8 },
  );
});
