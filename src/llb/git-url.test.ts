import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BuildError } from '../base/index.ts';
import { gitIdentifier, isGitTransport, parseGitUrl, redactCredentials } from './git-url.ts';

/** Checked against upstream's gitutil.ParseURL: text, then scheme, host, path, remote, query, ref, subdir. */
const parsed: ReadonlyArray<readonly [text: string, ...string[]]> = [
  ['https://h/a/b.git', 'https', 'h', '/a/b.git', 'https://h/a/b.git', '', '', ''],
  ['HTTP://h:80/a.git#v1:x/../y/', 'http', 'h:80', '/a.git', 'http://h:80/a.git', '', 'v1', 'y'],
  ['https://u:p!@h/a%20b.git#:d', 'https', 'h', '/a b.git', 'https://u:p%21@h/a%20b.git', '', '', 'd'],
  ['https://h/a b.git', 'https', 'h', '/a b.git', 'https://h/a%20b.git', '', '', ''],
  ['git://h/a.git?ref=x#y', 'git', 'h', '/a.git', 'git://h/a.git', 'ref=x', 'y', ''],
  ['https://h/a.git?', 'https', 'h', '/a.git', 'https://h/a.git?', '', '', ''],
  ['ssh://git@h:22/a.git', 'ssh', 'h:22', '/a.git', 'ssh://git@h:22/a.git', '', '', ''],
  ['git@h:a/b.git#r:s', 'ssh', 'h', 'a/b.git', 'git@h:a/b.git', '', 'r', 's'],
  ['me_x-1@h.net:~/a.git?tag=v1#r', 'ssh', 'h.net', '~/a.git', 'me_x-1@h.net:~/a.git', 'tag=v1', 'r', ''],
];

void test('addresses of repositories are taken apart', () => {
  for (const [text, ...parts] of parsed) {
    const url = parseGitUrl(text);
    assert.ok(url, text);
    assert.deepEqual([url.scheme, url.host, url.path, url.remote, url.query, url.ref, url.subdir], parts, text);
  }
});

void test('what is no address of a repository, and what is a wrong one', () => {
  for (const text of ['h/a.git', 'github.com:a/b.git', 'git@h/a.git', 'bad:user@h:a.git', '', './a', '-u:x@h:a']) {
    assert.equal(parseGitUrl(text), undefined, text);
    assert.equal(isGitTransport(text), false, text);
  }
  const wrong: ReadonlyArray<readonly [string, RegExp]> = [
    ['file:///etc', /^file: invalid protocol$/],
    ['ext://sh', /^ext: invalid protocol$/],
    ['https://h:a/b.git', /^parse "https:\/\/h:a\/b\.git": invalid port ":a" after host$/],
    ['https://h/%zz.git', /invalid URL escape "%zz"$/],
    ['https://h/\u0001.git', /net\/url: invalid control character in URL$/],
    ['https://a<b@h/x.git', /invalid userinfo$/],
  ];
  for (const [text, message] of wrong) {
    assert.throws(
      () => parseGitUrl(text),
      (e) => e instanceof BuildError && e.code === 3 && message.test(e.message),
      text,
    );
  }
});

void test('one name for all ways to a repository', () => {
  assert.equal(gitIdentifier('https://u:p@h/a//b.git', '', ''), 'git://h/a/b.git');
  assert.equal(gitIdentifier('git@h:a/b.git', 'v1', ''), 'git://h/a/b.git#v1');
  assert.equal(gitIdentifier('ssh://git@h/a/b.git/', '', 'x/y'), 'git://h/a/b.git#:x/y');
  assert.equal(gitIdentifier('https://h:no/a', 'r', ''), 'git://https://h:no/a#r');
});

void test('credentials of an address are not shown', () => {
  assert.equal(redactCredentials('https://user:pass@h/a.git'), 'https://xxxxx:xxxxx@h/a.git');
  assert.equal(redactCredentials('https://user@h/a.git'), 'https://xxxxx@h/a.git');
  assert.equal(redactCredentials('https://:pass@h/a.git'), 'https://:xxxxx@h/a.git');
  assert.equal(redactCredentials('https://h/a@b.git'), 'https://h/a@b.git');
  assert.equal(redactCredentials('git@h:a.git'), 'git@h:a.git');
});
