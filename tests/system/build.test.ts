/** An ordinary build, from the first one to its cache's end. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Daemon } from './daemon.ts';
import { mustRun } from './process.ts';
import { buildArguments, cannotRun, makeScratch, project, writeContext } from './scratch.ts';
import type { Scratch } from './scratch.ts';
import { readSteps, stepsThat } from './steps.ts';

const GREETING = 'Hello, Ada!\nHello, Grace!\nHello, world!\nmade of 3 names\n';

void describe('build', { skip: cannotRun, timeout: 200_000 }, () => {
  let scratch: Scratch;
  let daemon: Daemon;
  let hello: string;

  const build = (...more: string[]): ReturnType<Daemon['buildctl']> =>
    daemon.buildctl([], [...buildArguments(hello), ...scratch.busybox, ...more]);
  const into = (name: string): string => join(scratch.folder, name);

  before(async () => {
    scratch = await makeScratch();
    hello = into('hello');
    cpSync(join(project, 'examples/hello'), hello, { recursive: true });
    daemon = await Daemon.start(scratch.folder);
  });
  after(async () => {
    await daemon?.end();
    await scratch?.remove();
  });

  void test('the daemon says what it is and which worker it has', async () => {
    assert.match(await daemon.ask('debug', 'info'), /^BuildKit:\s+\S+ v0\.32\.\d+/);
    const workers = await daemon.ask('debug', 'workers');
    assert.match(workers, /^ID\s+PLATFORMS\n\S+\s+linux\/\w+/);
    assert.equal(workers.trim().split('\n').length, 2);
  });

  void test('the first build runs every step and exports the files', async () => {
    const { code, stderr } = await build('--output', `type=local,dest=${into('files')}`);
    assert.equal(code, 0, stderr);
    assert.equal(readFileSync(join(into('files'), 'greeting.txt'), 'utf8'), GREETING);
    assert.ok(readdirSync(join(into('files'), 'bin')).includes('busybox'));
    assert.deepEqual(stepsThat(stderr, 'cached'), []);
    assert.equal(stepsThat(stderr, 'ran').length, 6, stderr);
  });

  void test('the second build takes every step from the cache', async () => {
    const { code, stderr } = await build('--output', `type=oci,dest=${into('hello.tar')}`);
    assert.equal(code, 0, stderr);
    assert.deepEqual(stepsThat(stderr, 'ran'), [], stderr);
    assert.equal(stepsThat(stderr, 'cached').length, 6, stderr);
  });

  void test('the archive is an OCI layout whose blobs are what their names say', async () => {
    const layout = into('layout');
    mkdirSync(layout);
    await mustRun('tar', ['-xf', into('hello.tar'), '-C', layout]);
    assert.deepEqual(JSON.parse(readFileSync(join(layout, 'oci-layout'), 'utf8')), { imageLayoutVersion: '1.0.0' });
    const blobs = join(layout, 'blobs/sha256');
    for (const name of readdirSync(blobs)) {
      assert.equal(
        createHash('sha256')
          .update(readFileSync(join(blobs, name)))
          .digest('hex'),
        name,
      );
    }
    const read = (digest: string): any => JSON.parse(readFileSync(join(blobs, digest.split(':')[1]), 'utf8'));
    const [target] = JSON.parse(readFileSync(join(layout, 'index.json'), 'utf8')).manifests;
    const manifest = read(target.digest);
    const config = read(manifest.config.digest);
    assert.deepEqual(config.config.Cmd, ['cat', '/greeting.txt']);
    assert.equal(manifest.layers.length, 2);
    assert.equal(config.rootfs.diff_ids.length, 2);
    assert.equal(config.history.at(-1).created_by, 'CMD ["cat" "/greeting.txt"]');
  });

  void test('the image runs outside of the daemon', async () => {
    const said = await mustRun(process.execPath, [join(project, 'scripts/run-archive.ts'), into('hello.tar')]);
    assert.equal(said, GREETING);
  });

  void test('a changed file runs again only what depends on it', async () => {
    writeFileSync(join(hello, 'names.txt'), 'Barbara\n');
    const { code, stderr } = await build('--output', `type=local,dest=${into('changed')}`);
    assert.equal(code, 0, stderr);
    assert.equal(readFileSync(join(into('changed'), 'greeting.txt'), 'utf8'), 'Hello, Barbara!\nmade of 1 names\n');
    assert.deepEqual(stepsThat(stderr, 'cached'), ['COPY greet.sh ./', 'WORKDIR /src'], stderr);
    assert.equal(stepsThat(stderr, 'ran').length, 4, stderr);
  });

  void test('a file that no step uses runs nothing again', async () => {
    writeFileSync(join(hello, 'unused.txt'), 'nobody reads this\n');
    const { code, stderr } = await build();
    assert.equal(code, 0, stderr);
    assert.deepEqual(stepsThat(stderr, 'ran'), [], stderr);
  });

  void test('a failing step says its exit code and its line', async () => {
    const context = writeContext(into('failing'), {
      Dockerfile: 'FROM busybox\n\nRUN echo nearly there\nRUN echo out of luck && exit 7\n',
    });
    const { code, stderr } = await daemon.buildctl([], [...context, ...scratch.busybox]);
    assert.notEqual(code, 0);
    assert.match(
      stderr,
      /process "\/bin\/sh -c echo out of luck && exit 7" did not complete successfully: exit code: 7/,
    );
    assert.match(stderr, /Dockerfile:4\n/);
    assert.match(stderr, />>> RUN echo out of luck && exit 7/);
    assert.match(readSteps(stderr).get('RUN echo nearly there')?.log ?? '', /nearly there/);
    assert.match(stderr, /out of luck/);
  });

  void test('a mistake in the Dockerfile says its line', async () => {
    const context = writeContext(into('mistaken'), { Dockerfile: 'FROM busybox\nRUM true\n' });
    const { code, stderr } = await daemon.buildctl([], [...context, ...scratch.busybox]);
    assert.notEqual(code, 0);
    assert.match(stderr, /unknown instruction: RUM/);
    assert.match(stderr, /Dockerfile:2\n/);
  });

  void test('cache mounts stay, secrets do not', async () => {
    writeFileSync(into('secret'), 'hush\n');
    const dockerfile = (n: number): string =>
      `FROM busybox
RUN --mount=type=cache,target=/cache --mount=type=secret,id=word echo ${n} >> /cache/n && cp /cache/n /n && cp /run/secrets/word /word
FROM scratch
COPY --from=0 /n /word /
`;
    for (const n of [1, 2]) {
      const context = writeContext(into('mounts'), { Dockerfile: dockerfile(n) });
      const secret = ['--secret', `id=word,src=${into('secret')}`, '--output', `type=local,dest=${into('mounted')}`];
      const { code, stderr } = await daemon.buildctl([], [...context, ...scratch.busybox, ...secret]);
      assert.equal(code, 0, stderr);
    }
    assert.equal(readFileSync(join(into('mounted'), 'n'), 'utf8'), '1\n2\n');
    assert.equal(readFileSync(join(into('mounted'), 'word'), 'utf8'), 'hush\n');
  });

  void test('du lists the cache and prune empties it', async () => {
    const before = await daemon.usage();
    assert.ok(before.length > 5, JSON.stringify(before));
    assert.ok(before.some((u) => u.recordType === 'exec.cachemount'));
    assert.match(await daemon.ask('du'), /\nReclaimable:\s+\S+\nTotal:\s+\S+\n$/);
    const pruned = await daemon.ask('prune', '--all');
    assert.match(pruned, /^ID\s+RECLAIMABLE\s+SIZE/);
    assert.match(pruned, /Total:\s+[\d.]+\s?[kMG]?B/);
    assert.deepEqual(await daemon.usage(), []);
  });

  void test('after that, the same build works again', async () => {
    const { code, stderr } = await build();
    assert.equal(code, 0, stderr);
    assert.deepEqual(stepsThat(stderr, 'cached'), [], stderr);
  });

  void test('it stops and leaves nothing behind', () => daemon.stopWithoutLeaks());
});
