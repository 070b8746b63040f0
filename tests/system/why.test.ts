/** `buildctl debug why`: what the daemon says of each step of a build that has ended. */
import assert from 'node:assert/strict';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Daemon } from './daemon.ts';
import { cannotRun, makeScratch, writeContext } from './scratch.ts';
import type { Scratch } from './scratch.ts';

const DOCKERFILE = `FROM busybox
RUN echo first > /first
COPY src/ /app/
RUN cat /app/a > /made
`;

void describe('why a step was not cached', { skip: cannotRun, timeout: 150_000 }, () => {
  let scratch: Scratch;
  let daemon: Daemon;
  let context: string[];
  /** Of the last build. */
  let ref: string;

  /** Builds, and gives what is said of the build by step: `RUN`, `COPY` and so on, with the rest of their names cut off. */
  async function build(...more: string[]): Promise<{ lines: string[]; raw: string }> {
    const refFile = join(scratch.folder, 'ref');
    const args = [...context, ...scratch.busybox, '--ref-file', refFile, '--progress', 'rawjson', ...more];
    const { code, stderr } = await daemon.buildctl([], args);
    assert.equal(code, 0, stderr);
    ref = readFileSync(refFile, 'utf8').trim();
    const lines = (await daemon.ask('debug', 'why', ref)).trim().split('\n');
    return { lines, raw: stderr };
  }

  const of = (lines: readonly string[], step: string): string => lines.find((line) => line.includes(step)) ?? '';

  before(async () => {
    scratch = await makeScratch();
    daemon = await Daemon.start(scratch.folder);
    const files = { Dockerfile: DOCKERFILE, 'src/a': 'a', 'src/run.sh': '#!/bin/sh\n' };
    context = writeContext(join(scratch.folder, 'context'), files);
    chmodSync(join(scratch.folder, 'context/src/run.sh'), 0o664);
  });
  after(async () => {
    await daemon?.end();
    await scratch?.remove();
  });

  void test('the first time nothing is in the cache', async () => {
    const { lines } = await build();
    assert.match(of(lines, 'RUN echo first'), /: this was not done with its inputs before$|: made from /);
    assert.match(of(lines, 'RUN cat'), /: made from ".*COPY src\/ \/app\/", which ran$/);
  });

  void test('the second time everything is, and steps that nobody needed say so', async () => {
    const { lines } = await build();
    assert.match(of(lines, 'RUN cat'), /: CACHED$/);
    assert.match(of(lines, 'RUN echo first'), /: skipped, nothing needed its result$/);
  });

  void test('a changed file and a changed mode are named, and rawjson has them too', async () => {
    writeFileSync(join(scratch.folder, 'context/src/a'), 'b');
    chmodSync(join(scratch.folder, 'context/src/run.sh'), 0o755);
    const { lines, raw } = await build();
    assert.match(of(lines, 'COPY src/'), /: 2 files differ: src\/a content, src\/run.sh mode 0664→0755$/);
    assert.match(of(lines, 'RUN cat'), /: made from ".*COPY src\/ \/app\/", which ran$/);
    const vertexes = raw
      .trim()
      .split('\n')
      .flatMap((line) => JSON.parse(line).vertexes ?? []);
    const copy = vertexes.findLast((v: { name: string }) => v.name.includes('COPY'));
    assert.deepEqual(copy.cause.misses[0].changes, ['src/a content', 'src/run.sh mode 0664→0755']);
  });

  void test('a changed command and a build without cache', async () => {
    const file = join(scratch.folder, 'context/Dockerfile');
    writeFileSync(file, DOCKERFILE.replace('> /made', '> /made-elsewhere'));
    assert.match(of((await build()).lines, 'RUN cat'), /: this was not done with its inputs before$/);
    assert.match(of((await build('--no-cache')).lines, 'RUN cat'), /: the cache was not to be used$/);
  });

  void test('one step is asked for by its name; what is not there is an error', async () => {
    const one = (await daemon.ask('debug', 'why', ref, 'COPY')).trim().split('\n');
    assert.equal(one.length, 1);
    const none = await daemon.buildctl([], ['debug', 'why', ref, 'no such step']);
    assert.notEqual(none.code, 0);
    assert.match(none.stderr, /has no step no such step/);
  });

  void test('it stops and leaves nothing behind', () => daemon.stopWithoutLeaks());
});
