/** Layers of images for Windows, built here on a base from a registry: what is in them, what they keep, what is refused. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';
import { encodeTarHeader, TAR_TRAILER, tarPadding, TarReader } from '../../src/archive/index.ts';
import type { TarHeader } from '../../src/archive/index.ts';
import {
  checkWindowsLayer,
  formatSddl,
  parseSecurityDescriptor,
  readFileRecords,
} from '../../src/archive/windows/index.ts';
import { Daemon } from './daemon.ts';
import { Registry } from './registry.ts';
import { cannotRun, makeScratch, writeContext } from './scratch.ts';
import type { Scratch } from './scratch.ts';
import { LayerServer, pushWindowsBase, windowsTar } from './windows-base.ts';

const skip = cannotRun || (existsSync('/usr/bin/docker-registry') ? false : 'needs docker-registry');
const VERSION = '10.0.20348.2227';
const TRUSTED_INSTALLER = /^O:S-1-5-80-956008885-/;

interface Layer {
  readonly digest: string;
  readonly entries: ReadonlyMap<string, TarHeader>;
}

/** The security descriptor as text; of an entry that there is. */
function descriptorOf(layer: Layer, name: string): string {
  const entry = layer.entries.get(name);
  assert.ok(entry !== undefined, `${name} in ${[...layer.entries.keys()].join(', ')}`);
  const { descriptor } = readFileRecords(entry.pax);
  return descriptor === undefined ? '' : formatSddl(parseSecurityDescriptor(descriptor));
}

function tarOfFile(name: string, content: string): Buffer {
  const nothing = { uid: 0, gid: 0, mtimeNs: 0n, linkname: '', uname: '', gname: '', devmajor: 0, devminor: 0 };
  const header = encodeTarHeader({ name, type: '0', mode: 0o644, size: content.length, ...nothing });
  return Buffer.concat([header, Buffer.from(content), tarPadding(content.length), TAR_TRAILER]);
}

void describe('layers of images for Windows', { skip, timeout: 150_000 }, () => {
  let scratch: Scratch;
  let daemon: Daemon;
  let registry: Registry;
  let server: LayerServer;
  let base: string;
  let count = 0;

  const build = (dockerfile: string, ...more: string[]): ReturnType<Daemon['buildctl']> => {
    const files = { Dockerfile: dockerfile, 'tool/tool.exe': 'new', 'tool/sub/b.txt': 'b', 'a.txt': 'a' };
    const context = writeContext(join(scratch.folder, `context${count++}`), files);
    return daemon.buildctl([], [...context, '--opt', `platform=windows(${VERSION})/amd64`, ...more]);
  };
  const layersOf = async (dockerfile: string, ...more: string[]): Promise<Layer[]> => {
    const output = `type=image,name=${registry.host}/tests/out:1,push=true,rewrite-timestamp=true`;
    const { code, stderr } = await build(
      dockerfile,
      '--output',
      output,
      '--opt',
      'build-arg:SOURCE_DATE_EPOCH=1700000000',
      ...more,
    );
    assert.equal(code, 0, stderr);
    const { body } = await registry.manifest('tests/out', '1');
    return await Promise.all(
      body.layers.map(async ({ digest }: { digest: string }, i: number) => {
        const tar = gunzipSync(await registry.blob('tests/out', digest));
        assert.deepEqual(await checkWindowsLayer([tar], { isBase: i === 0 }), []);
        const entries = new Map<string, TarHeader>();
        const reader = new TarReader({ entry: (h) => void entries.set(h.name, h), data() {}, entryEnd() {} });
        reader.write(tar);
        reader.end();
        return { digest, entries };
      }),
    );
  };

  before(async () => {
    scratch = await makeScratch();
    registry = await Registry.start(scratch.folder);
    server = await LayerServer.start();
    daemon = await Daemon.start(scratch.folder);
    await pushWindowsBase(registry, server, ['tests/base', '1'], [VERSION]);
    base = `${registry.host}/tests/base:1`;
  });
  after(async () => {
    await daemon?.end();
    await registry?.stop();
    server?.stop();
    await scratch?.remove();
  });

  void test('on a base: names as it spells them, owners and permissions kept, the same bytes again', async () => {
    const dockerfile = [
      '# escape=`',
      `FROM ${base}`,
      'COPY ["tool/", "C:\\\\program files\\\\TOOL\\\\"]',
      `COPY --from=${base} C:\\windows\\system32\\CMD.EXE C:\\`,
      'COPY --chown=ContainerUser a.txt C:\\users\\public\\',
      'WORKDIR C:\\WINDOWS\\Work',
      '',
    ].join('\n');
    const all = await layersOf(dockerfile);
    const [tool, cmd, user, work] = all.slice(-4) as [Layer, Layer, Layer, Layer];
    assert.deepEqual(
      [...tool.entries.keys()],
      [
        'Hives',
        'Files',
        'Files/Program Files/',
        'Files/Program Files/Tool/',
        'Files/Program Files/Tool/sub/',
        'Files/Program Files/Tool/sub/b.txt',
        'Files/Program Files/Tool/tool.exe',
      ],
    );
    assert.match(descriptorOf(tool, 'Files/Program Files/Tool/'), TRUSTED_INSTALLER);
    assert.match(descriptorOf(tool, 'Files/Program Files/Tool/tool.exe'), /^O:BAG:SY/);
    assert.match(descriptorOf(cmd, 'Files/CMD.EXE'), TRUSTED_INSTALLER);
    assert.match(descriptorOf(user, 'Files/Users/Public/a.txt'), /^O:S-1-5-93-2-2G:.*\(A;;FA;;;S-1-5-93-2-2\)/);
    assert.match(descriptorOf(user, 'Files/Users/Public/'), TRUSTED_INSTALLER);
    assert.match(descriptorOf(work, 'Files/Windows/'), TRUSTED_INSTALLER);
    // The user of the base image made it.
    assert.match(descriptorOf(work, 'Files/Windows/Work/'), /^O:S-1-5-93-2-2G:/);

    const again = await layersOf(dockerfile, '--no-cache');
    assert.deepEqual(
      again.map((layer) => layer.digest),
      all.map((layer) => layer.digest),
    );
  });

  void test('on nothing, and on what was built on nothing', async () => {
    const first = await layersOf('FROM scratch\nCOPY tool/ C:/App/\nWORKDIR C:/app/work\n');
    assert.deepEqual(
      first.map((layer) => [...layer.entries.keys()]),
      [
        ['Hives', 'Files', 'Files/App/', 'Files/App/sub/', 'Files/App/sub/b.txt', 'Files/App/tool.exe'],
        ['Hives', 'Files', 'Files/App/', 'Files/App/work/'],
      ],
    );
    const push = ['--output', `type=image,name=${registry.host}/tests/mine:1,push=true`];
    const made = await build('FROM scratch\nCOPY --chown=ContainerUser tool/ C:/App/\n', ...push);
    assert.equal(made.code, 0, made.stderr);
    const [, copied] = await layersOf(
      `FROM ${registry.host}/tests/mine:1\nCOPY --from=${registry.host}/tests/mine:1 /APP/tool.exe C:/app/b.exe\n`,
    );
    assert.deepEqual([...(copied?.entries.keys() ?? [])], ['Hives', 'Files', 'Files/App/', 'Files/App/b.exe']);
    assert.match(descriptorOf(copied as Layer, 'Files/App/b.exe'), /^O:S-1-5-93-2-2G:/);
  });

  void test('streams beside the content of files of the base go where the files go', async () => {
    const [copied, replaced] = (
      await layersOf(
        `FROM ${base} AS s\nFROM ${base}\nCOPY --from=s ["C:/PROGRAM FILES/Tool/tool.exe", "C:/b.exe"]\nCOPY a.txt C:/b.exe\n`,
      )
    ).slice(-2);
    assert.deepEqual(
      [...(copied?.entries.keys() ?? [])],
      ['Hives', 'Files', 'Files/b.exe', 'Files/b.exe:Zone.Identifier'],
    );
    const stream = copied?.entries.get('Files/b.exe:Zone.Identifier');
    assert.deepEqual([stream?.type, stream?.size, stream?.pax], ['0', 26, undefined]);
    // Another file in its place has none.
    assert.deepEqual([...(replaced?.entries.keys() ?? [])], ['Hives', 'Files', 'Files/b.exe']);
  });

  /** An image of that system with these layers, whatever they are. */
  const pushLayers = async (os: string, ...tars: Buffer[]): Promise<string> => {
    const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
    const sha = (bytes: Buffer): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
    const layers = tars.map((tar) => gzipSync(tar));
    const config = json({ os, architecture: 'amd64', config: {}, rootfs: { type: 'layers', diff_ids: tars.map(sha) } });
    const [layerType, configType, type] = [
      'application/vnd.oci.image.layer.v1.tar+gzip',
      'application/vnd.oci.image.config.v1+json',
      'application/vnd.oci.image.manifest.v1+json',
    ];
    const describe = (mediaType: string, bytes: Buffer) => ({ mediaType, digest: sha(bytes), size: bytes.length });
    for (const blob of [...layers, config]) await registry.putBlob('tests/bad', blob);
    const manifest = {
      schemaVersion: 2,
      mediaType: type,
      config: describe(configType, config),
      layers: layers.map((layer) => describe(layerType, layer)),
    };
    const tag = String(count++);
    await registry.putManifest('tests/bad', tag, type, json(manifest));
    return `${registry.host}/tests/bad:${tag}`;
  };

  void test('what is no layer for the system of its image fails that build alone', async () => {
    const linuxTar = tarOfFile('etc/passwd', 'root');
    const base = windowsTar({ Hives: undefined, Files: undefined });
    const rows: ReadonlyArray<readonly [os: string, tars: Buffer | readonly Buffer[], message: RegExp]> = [
      [
        'windows',
        [base, linuxTar],
        /invalid Windows layer: the layer has no Files, Hives, UtilityVM: it is not for Windows/,
      ],
      [
        'linux',
        windowsTar({ Hives: undefined, Files: undefined }),
        /invalid layer: it is for Windows, its image is not/,
      ],
      ['windows', windowsTar({ Files: undefined, 'Files/CON': 'x' }), /"Files\/CON" is the name of a device/],
      [
        'windows',
        windowsTar({ Files: undefined, 'Files/A': 'x', 'Files/a': 'y' }),
        /"Files\/a" is the same file as "Files\/A"/,
      ],
      [
        'windows',
        windowsTar({ Files: undefined, 'Files/.wh.x': '' }),
        /"Files\/\.wh\.x" deletes a file, but there is no layer below/,
      ],
      ['windows', windowsTar({ Hives: undefined, 'Hives/Sam_Delta': 'x' }), /"Hives\/Sam_Delta" is no registry hive/],
    ];
    for (const [os, tars, message] of rows) {
      const image = await pushLayers(os, ...(Buffer.isBuffer(tars) ? [tars] : (tars as readonly Buffer[])));
      const failed = await build(`FROM ${image}\nCOPY a.txt /x/\n`, '--opt', `platform=${os}/amd64`);
      assert.equal(failed.code, 1, String(message));
      assert.match(failed.stderr, message);
    }
    // The bytes that are wrong for Windows are right for Linux.
    const right = await pushLayers('linux', linuxTar);
    const { code, stderr } = await build(`FROM ${right}\nCOPY a.txt /x/\n`, '--opt', 'platform=linux/amd64');
    assert.equal(code, 0, stderr);
  });
});
