/** Caches of Windows builds that travel: what one daemon exported, a fresh one imports and goes on from. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Daemon } from './daemon.ts';
import { Registry } from './registry.ts';
import { cannotRun, makeScratch, writeContext } from './scratch.ts';
import type { Scratch } from './scratch.ts';
import { stepsThat } from './steps.ts';
import { LayerServer, pushWindowsBase } from './windows-base.ts';
import { assertWindowsLayer, namesOf } from './windows-layer.ts';

const skip = cannotRun || (existsSync('/usr/bin/docker-registry') ? false : 'needs docker-registry');
const WINDOWS = ['--opt', 'platform=windows(10.0.20348)/amd64'];

void describe('caches of Windows builds', { skip, timeout: 280_000 }, () => {
  let scratch: Scratch;
  let registry: Registry;
  let server: LayerServer;
  let first: Daemon;

  const into = (path: string): string => join(scratch.folder, path);
  const startDaemon = (name: string): Promise<Daemon> => {
    mkdirSync(into(name));
    writeFileSync(into(`${name}/buildkitd.toml`), '');
    return Daemon.start(into(name));
  };

  before(async () => {
    scratch = await makeScratch();
    registry = await Registry.start(scratch.folder);
    server = await LayerServer.start();
    await pushWindowsBase(registry, server, ['tests/windows', 'base'], ['10.0.20348.2227']);
    first = await startDaemon('first');
  });
  after(async () => {
    await first?.end();
    await registry?.stop();
    server?.stop();
    await scratch?.remove();
  });

  async function build(daemon: Daemon, args: readonly string[]): Promise<string> {
    const { code, stderr } = await daemon.buildctl([], [...args, ...scratch.busybox, ...WINDOWS]);
    assert.equal(code, 0, stderr);
    return stderr;
  }

  const kinds = {
    registry: () => ({ to: `type=registry,ref=${registry.host}/tests/cache:max,mode=max` }),
    zstd: () => ({
      to: `type=registry,ref=${registry.host}/tests/cache:zstd,mode=max,compression=zstd,force-compression=true`,
    }),
    local: () => ({ to: `type=local,dest=${into('cache')},mode=max`, from: `type=local,src=${into('cache')}` }),
    inline: () => ({ to: 'type=inline', from: `type=registry,ref=${registry.host}/tests/inline:cache` }),
  };
  for (const [kind, plan] of Object.entries(kinds)) {
    void test(`${kind}: a fresh daemon runs nothing again, and what it adds is a layer of Windows`, async () => {
      const { to, from = to.split(',').slice(0, 2).join() } = plan() as { to: string; from?: string };
      const lines = [
        'FROM --platform=$BUILDPLATFORM busybox AS make',
        `RUN mkdir /out && echo ${kind} > /out/app.exe`,
        `FROM ${registry.host}/tests/windows:base`,
        'WORKDIR C:\\\\App',
        'COPY --from=make /out C:\\\\App\\\\',
        'COPY file.txt C:\\\\App\\\\file.txt',
      ];
      const files = { Dockerfile: `${lines.join('\n')}\n`, 'file.txt': 'text\n', 'more.txt': 'more\n' };
      const context = writeContext(into(`${kind}-context`), files);
      const repository = `tests/${kind}`;
      const output = (tag: string): string[] => [
        '--output',
        `type=image,name=${registry.host}/${repository}:${tag},push=true`,
      ];
      await build(first, [...context, ...output('cache'), '--export-cache', to]);
      const made = (await registry.manifest(repository, 'cache')).body.layers;

      const daemon = await startDaemon(`second-${kind}`);
      try {
        const imported = ['--import-cache', from];
        const again = await build(daemon, [...context, ...output('again'), ...imported]);
        assert.deepEqual(stepsThat(again, 'ran'), [], again);
        const { layers } = (await registry.manifest(repository, 'again')).body;
        if (kind !== 'zstd') assert.deepEqual(layers, made, 'the same layers');

        // The base was never pulled here: only the cache has brought it.
        const longer = writeContext(into(`${kind}-context`), {
          Dockerfile: `${files.Dockerfile}COPY more.txt C:\\\\app\\\\FILE.TXT\nCOPY more.txt C:\\\\License.txt\n`,
        });
        const added = await build(daemon, [...longer, ...output('longer'), ...imported]);
        assert.equal(stepsThat(added, 'ran').length, 2, added);
        const { body } = await registry.manifest(repository, 'longer');
        assert.deepEqual(body.layers.slice(0, -2), layers);
        const blobs = await Promise.all(body.layers.slice(-2).map((l: any) => registry.blob(repository, l.digest)));
        for (const blob of blobs) await assertWindowsLayer(blob, into('layer'));
        assert.deepEqual(blobs.map(namesOf), [
          ['Hives', 'Files', 'Files/App/', 'Files/App/file.txt'],
          ['Hives', 'Files', 'Files/License.txt'],
        ]);
      } finally {
        await daemon.end();
      }
    });
  }

  void test('it stops and leaves nothing behind', () => first.stopWithoutLeaks());
});
