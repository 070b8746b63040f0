import assert from 'node:assert/strict';
import { readdirSync, readFileSync, renameSync } from 'node:fs';
import test from 'node:test';
import { Code, toBuildError } from './errors.ts';

function failureOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    const { code, message } = toBuildError(error);
    assert.equal(code, Code.Unknown);
    return message;
  }
  throw new Error('it worked');
}

void test('failed system calls read as upstream has them', () => {
  assert.equal(
    failureOf(() => readFileSync('/no/such')),
    'open /no/such: no such file or directory',
  );
  assert.equal(
    failureOf(() => readFileSync('/')),
    'read: is a directory',
  );
  assert.equal(
    failureOf(() => readdirSync('/proc/self/status')),
    'scandir /proc/self/status: not a directory',
  );
  assert.equal(
    failureOf(() => renameSync('/no/such', '/no/other')),
    'rename /no/such /no/other: no such file or directory',
  );
});

void test('what only looks like one stays', () => {
  const text = 'ENOENT: nothing, here and there';
  assert.equal(toBuildError(new Error(text)).message, text);
});
