/** Caches that travel: out of one daemon's state and into it again when the state is gone. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Daemon } from './daemon.ts';
import { Registry } from './registry.ts';
import { cannotRun, makeScratch, writeContext } from './scratch.ts';
import type { Scratch } from './scratch.ts';
import { stepsThat } from './steps.ts';

const skip = cannotRun || (existsSync('/usr/bin/docker-registry') ? false : 'needs docker-registry');

void describe('remote caches', { skip, timeout: 150_000 }, () => {
  let scratch: Scratch;
  let daemon: Daemon;
  let registry: Registry;

  before(async () => {
    scratch = await makeScratch();
    registry = await Registry.start(scratch.folder);
    daemon = await Daemon.start(scratch.folder);
  });
  after(async () => {
    await daemon?.end();
    await registry?.stop();
    await scratch?.remove();
  });

  const kinds = {
    registry: () => ({ to: ['type=registry', `ref=${registry.host}/tests/cache:max`, 'mode=max'], image: 'plain' }),
    local: () => ({ to: ['type=local', `dest=${join(scratch.folder, 'cache')}`, 'mode=max'], image: 'plain' }),
    inline: () => ({ to: ['type=inline'], image: 'inline' }),
  };
  for (const [kind, plan] of Object.entries(kinds)) {
    void test(`${kind}: nothing runs again`, async () => {
      const { to, image } = plan();
      const context = writeContext(join(scratch.folder, kind), {
        Dockerfile: `FROM busybox\nCOPY file /file\nRUN echo ${kind} > /made\nRUN cat /made /file > /both\n`,
        file: 'text\n',
      });
      const name = `${registry.host}/tests/${image}:${kind}`;
      const output = ['--output', `type=image,name=${name},push=true`];
      const first = await daemon.buildctl([], [...context, ...scratch.busybox, ...output, '--export-cache', to.join()]);
      assert.equal(first.code, 0, first.stderr);
      const made = kind === 'inline' ? (await registry.manifest(`tests/${image}`, kind)).digest : '';
      await daemon.ask('prune', '--all');
      const from = {
        registry: to.slice(0, 2).join(),
        local: `type=local,src=${join(scratch.folder, 'cache')}`,
        inline: `type=registry,ref=${name}`,
      }[kind] as string;
      const again = await daemon.buildctl(
        [],
        [
          ...context,
          ...scratch.busybox,
          ...output,
          '--import-cache',
          from,
          ...(kind === 'inline' ? ['--export-cache', to.join()] : []),
        ],
      );
      assert.equal(again.code, 0, again.stderr);
      assert.deepEqual(stepsThat(again.stderr, 'ran'), [], again.stderr);
      if (kind === 'inline') {
        const { digest } = await registry.manifest(`tests/${image}`, kind);
        assert.equal(digest, made, 'the same image, byte for byte');
      }
      // Without it everything does.
      await daemon.ask('prune', '--all');
      const without = await daemon.buildctl([], [...context, ...scratch.busybox]);
      assert.equal(stepsThat(without.stderr, 'ran').length, 3, without.stderr);
    });
  }

  void test('it stops and leaves nothing behind', () => daemon.stopWithoutLeaks());
});
