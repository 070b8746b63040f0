/** Builds that are allowed and hostile all the same: they end with an error of their own, and the daemon serves on. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Daemon, processesWith } from './daemon.ts';
import { mustRun, until } from './process.ts';
import { cannotRun, makeScratch, writeContext } from './scratch.ts';
import type { Scratch } from './scratch.ts';

/** Measured: some 210 MB. What the step prints meanwhile is gigabytes. */
const MAX_MEMORY_KB = 600_000;
/** Descriptors for the client's connection and little more: too few for the threads and files of a build. */
const SPARE = 5;

/** Another one each time: the daemon knows what it has by the digest. */
const noTar = (): Buffer => Buffer.concat([Buffer.alloc(8192 - 16, 'text'), randomBytes(16)]);

const digestOf = (bytes: Uint8Array): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

/** Arguments of a build from the image `liar`, whose one layer is `bytes` and said to be something else. */
function liar(folder: string, bytes: Uint8Array, said: { digest?: string; size?: number }): string[] {
  mkdirSync(join(folder, 'blobs/sha256'), { recursive: true });
  const put = (content: Uint8Array, digest = digestOf(content)): string => {
    writeFileSync(join(folder, 'blobs', digest.replace(':', '/')), content);
    return digest;
  };
  const layer = put(bytes, said.digest);
  const config = Buffer.from(
    JSON.stringify({ architecture: 'amd64', os: 'linux', rootfs: { type: 'layers', diff_ids: [layer] } }),
  );
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest: put(config), size: config.length },
      layers: [{ mediaType: 'application/vnd.oci.image.layer.v1.tar', digest: layer, size: said.size ?? bytes.length }],
    }),
  );
  writeFileSync(join(folder, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  writeFileSync(join(folder, 'index.json'), '{"schemaVersion":2,"manifests":[]}');
  return ['--oci-layout', `liar=${folder}`, '--opt', `context:liar=oci-layout://liar@${put(manifest)}`];
}

void describe('hostile builds', { skip: cannotRun, timeout: 200_000 }, () => {
  let scratch: Scratch;
  let daemon: Daemon;

  const build = (name: string, dockerfile: string): string[] => [
    ...writeContext(join(scratch.folder, name), { Dockerfile: dockerfile }),
    ...scratch.busybox,
  ];
  const memory = async (): Promise<number> =>
    Number((await mustRun('ps', ['-o', 'rss=', '-p', String(daemon.pid)])).trim());

  before(async () => {
    scratch = await makeScratch();
    daemon = await Daemon.start(scratch.folder);
  });
  after(async () => {
    await daemon?.end();
    await scratch?.remove();
  });

  // First: nothing of an earlier build gives descriptors back meanwhile.
  void test('no descriptors left: an error that says so, and a right build once there are', async () => {
    const pid = String(daemon.pid);
    const args = build('descriptors', 'FROM busybox\nRUN echo ran > /ran\n');
    const soft = (await mustRun('prlimit', ['--pid', pid, '--nofile', '--noheadings', '--output', 'SOFT'])).trim();
    const taken = new Set(readdirSync(`/proc/${pid}/fd`).map(Number));
    let limit = 0;
    for (let spare = 0; spare < SPARE; limit++) if (!taken.has(limit)) spare++;
    await mustRun('prlimit', ['--pid', pid, `--nofile=${limit}:`]);
    const refused = await daemon.buildctl([], args);
    await mustRun('prlimit', ['--pid', pid, `--nofile=${soft}:`]);
    assert.notEqual(refused.code, 0);
    assert.match(refused.stderr, /too many open files/);
    const { code, stderr } = await daemon.buildctl([], args);
    assert.equal(code, 0, stderr);
  });

  void test('a step that prints without end to a client that stopped reading', async () => {
    const loud = daemon.spawnBuildctl(build('loud', 'FROM busybox\nRUN yes line-of-a-loud-step-7233\n'));
    await loud.says('line-of-a-loud-step-7233');
    loud.signal('SIGSTOP');
    for (let i = 0; i < 3; i++) {
      await daemon.ask('debug', 'info');
      assert.ok((await memory()) < MAX_MEMORY_KB);
    }
    loud.signal('SIGKILL');
    await loud.ended;
    await until('the step is gone', () => processesWith('yes line-of-a-loud-step-7233').length === 0, 15_000);
  });

  void test('a context of ten thousand tiny files', async () => {
    const args = build('tiny', 'FROM scratch\nCOPY . /\n');
    for (let folder = 0; folder < 100; folder++) {
      mkdirSync(join(scratch.folder, `tiny/d${folder}`));
      for (let file = 0; file < 100; file++) writeFileSync(join(scratch.folder, `tiny/d${folder}/f${file}`), `${file}`);
    }
    const { code, stderr } = await daemon.buildctl([], args);
    assert.equal(code, 0, stderr);
  });

  void test('no folder where the runtime wants one, and no file where accounts should be', async () => {
    const link = 'FROM busybox AS base\nFROM scratch\nCOPY --from=base /bin /bin\nCOPY tree /\nRUN echo ran\n';
    const args = build('link', link);
    mkdirSync(join(scratch.folder, 'link/tree'));
    symlinkSync('/tmp', join(scratch.folder, 'link/tree/dev'));
    const { code, stderr } = await daemon.buildctl([], args);
    assert.notEqual(code, 0);
    assert.match(stderr, /\/dev of the root file system is not a directory/);

    const fifo = 'FROM busybox\nRUN rm -f /etc/passwd && mkfifo /etc/passwd\nUSER somebody\nRUN echo ran\n';
    const second = await daemon.buildctl([], build('fifo', fifo));
    assert.notEqual(second.code, 0);
    assert.match(second.stderr, /unable to find user somebody/);
  });

  void test('layers that are not what they are said to be, and a Dockerfile that is none', async () => {
    const lies: [string, { digest?: string; size?: number }, RegExp][] = [
      ['no tar', {}, /InvalidArgument: .*invalid tar header/],
      ['digest', { digest: digestOf(randomBytes(8)) }, /unexpected commit digest/],
      ['longer', { size: 9000 }, /unexpected commit size 8192, expected 9000/],
      ['shorter', { size: 8000 }, /is larger than its 8000 bytes/],
    ];
    for (const [name, said, error] of lies) {
      const folder = join(scratch.folder, `liar ${name}`);
      const args = build(`from ${name}`, 'FROM liar\nRUN echo ran\n');
      const { code, stderr } = await daemon.buildctl([], [...args, ...liar(folder, noTar(), said)]);
      assert.notEqual(code, 0, name);
      assert.match(stderr, error);
    }
    const args = build('binary', '');
    writeFileSync(
      join(scratch.folder, 'binary/Dockerfile'),
      Buffer.concat([Buffer.from([0, 0xff, 0xfe, 1]), randomBytes(100)]),
    );
    const { code, stderr } = await daemon.buildctl([], args);
    assert.notEqual(code, 0);
    assert.match(stderr, /dockerfile is not a text file/);
  });

  void test('it stops and leaves nothing behind', () => daemon.stopWithoutLeaks());
});
