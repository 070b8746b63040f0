import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { followPaths, hasWildcards, matchPath, PatternMatcher, walkTree } from './index.ts';

test('paths match as in Go', () => {
  const cases: Array<[string, string, boolean]> = [
    ['abc', 'abc', true],
    ['*', 'abc', true],
    ['*c', 'abc', true],
    ['a*/b', 'abc/b', true],
    ['a*/b', 'a/c/b', false],
    ['a*b?c*x', 'abxbbxdbxebxczzx', true],
    ['a*b?c*x', 'abxbbxdbxebxczzy', false],
    ['ab[c]', 'abc', true],
    ['ab[b-d]', 'abc', true],
    ['ab[e-g]', 'abc', false],
    ['ab[^c]', 'abc', false],
    ['a\\*b', 'a*b', true],
    ['a\\*b', 'ab', false],
    ['a?b', 'a☺b', true],
    ['a[^a]b', 'a☺b', true],
    ['a???b', 'a☺b', false],
    ['[a-ζ]*', 'α', true],
    ['a?b', 'a/b', false],
    ['[\\]a]', ']', true],
    ['[\\-x]', '-', true],
    ['[x\\-]', 'z', false],
    ['*x', 'xxx', true],
    ['[z-a]', 'm', false],
  ];
  for (const [pattern, path, expected] of cases) assert.equal(matchPath(pattern, path), expected, `${pattern} ${path}`);
  for (const bad of ['[]a]', '[-]', '[x-]', '[-x]', 'a[', 'a\\', '[a-b-c]', '[^bc']) {
    assert.throws(() => matchPath(bad, 'a'), /syntax error in pattern/, bad);
  }
  assert.equal(hasWildcards('a\\*b'), false);
  assert.equal(hasWildcards('a\\\\*b'), true);
});

test('patterns and names made to be tried for ever are done with', () => {
  const name = 'a'.repeat(250);
  assert.equal(matchPath(`${'*a'.repeat(30)}*b`, name), false);
  assert.equal(matchPath(`${'*a'.repeat(30)}*`, name), true);
  assert.equal(matchPath(`${'[^b]*'.repeat(20)}[z-a]`, name), false);
  const deep = `${'a/'.repeat(200)}a`;
  const matches = (pattern: string, path: string): boolean => new PatternMatcher([pattern]).matches(path);
  assert.equal(matches(`${'**/a*'.repeat(9)}b`, deep), false);
  assert.equal(matches('**/a/**/*b', deep), false);
  assert.equal(matches('**/a/**/*a', deep), true);
});

test('patterns match as in moby/patternmatcher', () => {
  const cases: Array<[string, string, boolean]> = [
    ['**', 'file', true],
    ['**', 'dir/file', true],
    ['**/', 'dir/file', true],
    ['**/**', 'dir/file', true],
    ['dir/**', 'dir/file', true],
    ['dir/**', 'dir2/file', false],
    ['dir/**', 'dir', false],
    ['**/dir', 'dir', true],
    ['**/dir', 'dir/file', true],
    ['**/dir2/*', 'dir/dir2/file', true],
    ['**/dir2/*', 'dir/dir2/dir2/file', true],
    ['**file', 'a/xfile', true],
    ['**/*.txt', 'a/b.txt', true],
    ['a**/*.txt', 'a/file.txt', true],
    ['a**/*.txt', 'a/dir/file.txt', true],
    ['a/*.txt', 'a/dir/file.txt', false],
    ['a/*.txt', 'a/file.txt', true],
    ['a[b-d]e', 'ace', true],
    ['a[^b-d]e', 'aze', true],
    ['abc.def', 'abcdef', false],
    ['abc?def', 'abcZdef', true],
    ['a\\*', 'a*', true],
    ['a\\*', 'ab', false],
    ['**/foo/bar', 'foo/bar', true],
    ['**/foo/bar', 'baz/foo/bar', true],
    ['a(b)c/def', 'a(b)c/def', true],
    ['a.|)$(}+{bc', 'a.|)$(}+{bc', true],
    [
      'dist/proxy.py-2.4.0rc3.dev36+g08acad9-py3-none-any.whl',
      'dist/proxy.py-2.4.0rc3.dev36+g08acad9-py3-none-any.whl',
      true,
    ],
    [' docs/ ', 'docs/README.md', true],
  ];
  for (const [pattern, path, expected] of cases) {
    assert.equal(new PatternMatcher([pattern]).matches(path), expected, `${pattern} ${path}`);
  }
  assert.equal(new PatternMatcher(['docs', '!docs/README.md']).matches('docs/README.md'), false);
  assert.equal(new PatternMatcher(['docs', '!docs/README.md']).matches('docs/other'), true);
  assert.equal(new PatternMatcher(['*', '!out', '*.prof']).matches('out/cpu.prof'), false);
  assert.throws(() => new PatternMatcher(['!']), /illegal exclusion pattern: "!"/);
  assert.throws(() => new PatternMatcher(['a[']), /syntax error in pattern/);
});

function tree(): string {
  const dir = mkdtempSync(join(tmpdir(), 'files-patterns-'));
  for (const d of ['a/b/c', 'node_modules/x', 'src']) mkdirSync(join(dir, d), { recursive: true });
  for (const f of ['a/b/c/1.go', 'a/b/2.md', 'node_modules/x/y', 'src/keep', 'src.x', 'top.md'])
    writeFileSync(join(dir, f), '');
  return dir;
}

test('walks: order, lazy parents, exceptions', () => {
  const dir = tree();
  try {
    const walk = (options: Parameters<typeof walkTree>[1]) => [...walkTree(dir, options)].map((e) => e.stat.path);
    assert.deepEqual(walk({}), [
      'a',
      'a/b',
      'a/b/2.md',
      'a/b/c',
      'a/b/c/1.go',
      'node_modules',
      'node_modules/x',
      'node_modules/x/y',
      'src',
      'src/keep',
      'src.x',
      'top.md',
    ]);
    assert.deepEqual(walk({ includePatterns: ['**/*.go'] }), ['a', 'a/b', 'a/b/c', 'a/b/c/1.go']);
    assert.deepEqual(walk({ includePatterns: ['a/b/2.md'] }), ['a', 'a/b', 'a/b/2.md']);
    assert.deepEqual(walk({ excludePatterns: ['*', '!src'] }), ['src', 'src/keep']);
    assert.deepEqual(walk({ excludePatterns: ['a', '!a/b/c'], includePatterns: ['a'] }), [
      'a',
      'a/b',
      'a/b/c',
      'a/b/c/1.go',
    ]);
    assert.deepEqual(walk({ includePatterns: ['src', '*.md'], excludePatterns: ['**/keep'] }), ['src', 'top.md']);
    assert.throws(() => walk({ includePatterns: ['['] }), /invalid includepatterns: \[\[\]/);
  } finally {
    rmSync(dir, { recursive: true });
  }
});

test('paths are followed through links, and circles end', () => {
  const dir = tree();
  try {
    symlinkSync('/a/b', join(dir, 'abs'));
    symlinkSync('../src', join(dir, 'a/up'));
    symlinkSync('../../../../../top.md', join(dir, 'a/out'));
    symlinkSync('round', join(dir, 'round'));
    symlinkSync('grow/x', join(dir, 'grow'));
    assert.deepEqual(followPaths(dir, ['abs/2.md']), ['a/b/2.md', 'abs']);
    assert.deepEqual(followPaths(dir, ['a/up/keep', 'a/out']), ['a/out', 'a/up', 'src/keep', 'top.md']);
    assert.deepEqual(followPaths(dir, ['a/u*']), ['a/u*', 'src']);
    assert.deepEqual(followPaths(dir, ['round', 'grow']), ['grow', 'round']);
    assert.deepEqual(followPaths(dir, ['src', 'src/keep', 'none/x']), ['none/x', 'src']);
    assert.equal(followPaths(dir, ['/']), undefined);
  } finally {
    rmSync(dir, { recursive: true });
  }
});
