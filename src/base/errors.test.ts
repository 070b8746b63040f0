import assert from 'node:assert/strict';
import { readdirSync, readFileSync, renameSync } from 'node:fs';
import test from 'node:test';
import { BuildError, Code, notFound, toBuildError, wrapError } from './errors.ts';

class Narrow extends BuildError {}

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

void test('errors of another copy of the module keep their code and details', async () => {
  const copy = (await import(`${import.meta.resolve('./errors.ts')}?copy`)) as typeof import('./errors.ts');
  assert.notEqual(copy.BuildError, BuildError);
  const foreign = copy.notFound('gone').withDetail(copy.jsonDetail('errdefs.Source', { line: 3 }));
  assert.ok(foreign instanceof BuildError);
  assert.ok(notFound('gone') instanceof copy.BuildError);
  assert.equal(toBuildError(foreign), foreign);
  const wrapped = wrapError(foreign, 'reading');
  assert.deepEqual([wrapped.code, wrapped.message], [Code.NotFound, 'reading: gone']);
  assert.deepEqual(wrapped.findDetail('errdefs.Source'), { line: 3 });
  const aborted = Object.assign(new Error('aborted', { cause: foreign }), { name: 'AbortError' });
  assert.equal(toBuildError(aborted), foreign);
});

void test('a derived class takes in only its own errors, and nothing else passes for an error', () => {
  assert.ok(new Narrow(Code.Internal, 'x') instanceof BuildError);
  assert.ok(!(notFound('x') instanceof Narrow));
  const impostor = { [Symbol.for('buildkit-ts.BuildError')]: true };
  for (const other of [new Error('x'), undefined, null, 'x', impostor]) assert.ok(!(other instanceof BuildError));
});
