/** Steps for another machine's platform, run by the program that is there for it. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Daemon } from './daemon.ts';
import { cannotRun, makeScratch, writeContext } from './scratch.ts';
import type { Scratch } from './scratch.ts';

const skip = cannotRun || (process.arch === 's390x' ? 'needs a machine that is no s390x' : false);

void describe('emulators', { skip, timeout: 120_000 }, () => {
  let scratch: Scratch;
  let daemon: Daemon;
  const path = process.env.PATH ?? '';

  before(async () => {
    scratch = await makeScratch();
    const bin = join(scratch.folder, 'bin');
    mkdirSync(bin);
    // Run by the step's own shell, which is this machine's: it only says that it was asked.
    const program = '#!/bin/sh\necho "emulated: $1"\nexec "$@"\n';
    writeFileSync(join(bin, 'buildkit-qemu-s390x'), program, { mode: 0o755 });
    process.env.PATH = `${bin}:${path}`;
    daemon = await Daemon.start(scratch.folder);
    process.env.PATH = path;
  });
  after(async () => {
    await daemon?.end();
    await scratch?.remove();
  });

  void test('a step is started by buildkit-qemu-*, which is not in the image', async () => {
    const context = writeContext(join(scratch.folder, 'context'), {
      Dockerfile: [
        'FROM --platform=$BUILDPLATFORM busybox AS tools',
        'FROM scratch AS foreign',
        'COPY --from=tools / /',
        'RUN echo foreign',
        'FROM foreign AS broken',
        'RUN false',
        'FROM --platform=$BUILDPLATFORM busybox AS look',
        'COPY --from=foreign / /foreign',
        'RUN [ ! -e /foreign/dev ] || ! ls -A /foreign/dev | grep qemu',
      ].join('\n'),
    });
    const build = (target: string) =>
      daemon.buildctl(
        [],
        [...context, ...scratch.busybox, '--opt', `target=${target}`, '--opt', 'platform=linux/s390x'],
      );
    const looked = await build('look');
    assert.equal(looked.code, 0, looked.stderr);
    const failed = await build('broken');
    assert.equal(failed.code, 1);
    assert.match(failed.stderr, /emulated: \/bin\/sh/);
    assert.match(failed.stderr, /process "\/dev\/\.buildkit_qemu_emulator \/bin\/sh -c false" did not complete/);
    const own = writeContext(join(scratch.folder, 'own'), { Dockerfile: 'FROM busybox\nRUN echo own' });
    const plain = await daemon.buildctl([], [...own, ...scratch.busybox, '--progress', 'plain']);
    assert.equal(plain.code, 0, plain.stderr);
    assert.doesNotMatch(plain.stderr, /emulated/);
  });
});
