/** Windows images, made on Linux: from a base image with a foreign layer, in one index with others, in every output. */
import assert from 'node:assert/strict';
import { existsSync, linkSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Daemon } from './daemon.ts';
import { mustRun } from './process.ts';
import { Registry } from './registry.ts';
import { cannotRun, makeScratch, writeContext } from './scratch.ts';
import type { Scratch } from './scratch.ts';
import { digestOf, FOREIGN_LAYER, LayerServer, pushWindowsBase } from './windows-base.ts';
import type { BaseImage } from './windows-base.ts';
import { sid } from './windows-hive.ts';
import { assertWindowsLayer, namesOf, readTar, unpack } from './windows-layer.ts';

const skip = cannotRun || (existsSync('/usr/bin/docker-registry') ? false : 'needs docker-registry');

const V2022 = '10.0.20348.2227';
const V2025 = '10.0.26100.1742';
const WINDOWS = `windows(${V2022})/amd64`;
const THREE = ['windows(10.0.20348)/amd64', 'windows(10.0.26100)/amd64', 'linux/amd64'];

/** A program is made on Linux and copied into an image of the target: Windows' base image, or none. */
function dockerfile(base: string): string {
  return `# escape=\`
FROM --platform=$BUILDPLATFORM busybox AS make
ARG TARGETOS
RUN mkdir -p /out/share && echo "program for $TARGETOS" > /out/app.exe && echo text > /out/share/readme.txt

FROM ${base} AS windows
FROM scratch AS linux
FROM $TARGETOS
ENV MODE=test
WORKDIR /App
COPY --from=make /out/app.exe ./
COPY --from=make \`
  /out/share Share/
ENTRYPOINT ["C:\\\\App\\\\app.exe"]
`;
}

/** What the Dockerfile brings, one layer each. */
const LAYERS = [['App/'], ['App/', 'App/app.exe'], ['App/', 'App/Share/', 'App/Share/readme.txt']].map((paths) => [
  'Hives',
  'Files',
  ...paths.map((path) => `Files/${path}`),
]);

interface Layer {
  readonly mediaType: string;
  readonly digest: string;
  readonly urls?: readonly string[];
}

interface Image {
  readonly digest: string;
  readonly layers: readonly Layer[];
  readonly config: Record<string, any>;
  readonly annotations?: Readonly<Record<string, string>>;
}

void describe('Windows images', { skip, timeout: 280_000 }, () => {
  let scratch: Scratch;
  let daemon: Daemon;
  let registry: Registry;
  let server: LayerServer;
  let bases: ReadonlyMap<string, BaseImage>;
  let base: string;
  let context: string[];

  const into = (path: string): string => join(scratch.folder, path);
  const platform = (...names: string[]): string[] => ['--opt', `platform=${names.join()}`];
  const build = async (...more: string[]): Promise<string> => {
    const { code, stderr } = await daemon.buildctl([], [...context, ...scratch.busybox, ...more]);
    assert.equal(code, 0, stderr);
    return stderr;
  };
  const baseOf = (version: string): BaseImage => bases.get(version) as BaseImage;

  async function imageOf(repository: string, reference: string): Promise<Image> {
    const { digest, body } = await registry.manifest(repository, reference);
    const { layers, annotations } = body as Image;
    return {
      digest,
      layers,
      annotations,
      config: JSON.parse(String(await registry.blob(repository, body.config.digest))),
    };
  }

  /** The layers that the Dockerfile brings, by the rules, whatever they are packed with. Gives the digests of their tars. */
  async function checkLayers(repository: string, { layers, config }: Image): Promise<string[]> {
    const found: string[] = [];
    for (const [i, { digest }] of layers.slice(-LAYERS.length).entries()) {
      const blob = await registry.blob(repository, digest);
      await assertWindowsLayer(blob, into('layer'));
      assert.deepEqual(namesOf(blob), LAYERS[i]);
      found.push(digestOf(unpack(blob)));
    }
    assert.deepEqual(config.rootfs.diff_ids.slice(-LAYERS.length), found);
    return found;
  }

  before(async () => {
    scratch = await makeScratch();
    registry = await Registry.start(scratch.folder);
    server = await LayerServer.start();
    bases = await pushWindowsBase(registry, server, ['tests/windows', 'base'], [V2022, V2025]);
    base = `${registry.host}/tests/windows:base`;
    daemon = await Daemon.start(scratch.folder);
    context = writeContext(into('context'), { Dockerfile: dockerfile(base) });
  });
  after(async () => {
    await daemon?.end();
    await registry?.stop();
    server?.stop();
    await scratch?.remove();
  });

  void test('a step that needs Windows is refused before anything is pulled', async () => {
    const refused = writeContext(into('refused'), { Dockerfile: `FROM ${base}\nRUN echo hello\n` });
    const { code, stderr } = await daemon.buildctl([], [...refused, ...platform(WINDOWS)]);
    assert.equal(code, 1);
    assert.match(stderr, /Dockerfile:2/);
    assert.match(stderr, /"cmd \/S \/C echo hello".* only a Windows worker/);
    assert.deepEqual(server.asked, [], 'the base layer');
  });

  void test('a base with nothing on it is pushed on without its foreign layer ever being fetched', async () => {
    const plain = writeContext(into('plain'), { Dockerfile: `FROM ${base}\nENV A=b\n` });
    const output = `type=image,name=${registry.host}/tests/plain:1,push=true,prefer-nondist-layers=true`;
    const { code, stderr } = await daemon.buildctl([], [...plain, ...platform(WINDOWS), '--output', output]);
    assert.equal(code, 0, stderr);
    assert.deepEqual(server.asked, []);
    assert.deepEqual(
      (await imageOf('tests/plain', '1')).layers.map((layer) => layer.digest),
      baseOf(V2022).layers,
    );
  });

  void test('an image on a base with a foreign layer, which stays where it is', async () => {
    const output = `type=image,name=${registry.host}/tests/app:foreign,push=true,prefer-nondist-layers=true`;
    await build(...platform(WINDOWS), '--output', output);
    const image = await imageOf('tests/app', 'foreign');
    const [foreign, update] = image.layers;
    const { layers, diffIds } = baseOf(V2022);
    assert.deepEqual([foreign?.digest, update?.digest], layers);
    assert.equal(foreign?.mediaType, 'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip');
    assert.deepEqual(foreign.urls, [`${server.origin}/${foreign.digest}`]);
    assert.equal(await registry.hasBlob('tests/app', foreign.digest), false);
    assert.equal(update?.urls, undefined);
    const diffs = await checkLayers('tests/app', image);
    const { config } = image;
    assert.deepEqual(config.rootfs.diff_ids, [...diffIds, ...diffs]);
    assert.equal(config['os.version'], V2022);
    assert.deepEqual(config['os.features'], ['win32k']);
    assert.deepEqual(config.config, {
      User: 'ContainerUser',
      Env: ['MODE=test'],
      Entrypoint: ['C:\\App\\app.exe'],
      WorkingDir: '\\App',
    });
  });

  void test('it is a foreign layer in the terms of docker too', async () => {
    const name = `${registry.host}/tests/docker:1`;
    const output = `type=image,name=${name},push=true,prefer-nondist-layers=true,oci-mediatypes=false`;
    await build(...platform(WINDOWS), '--output', output);
    const [foreign, update] = (await imageOf('tests/docker', '1')).layers;
    assert.equal(foreign?.mediaType, FOREIGN_LAYER);
    assert.equal(foreign.urls?.length, 1);
    assert.equal(update?.mediaType, 'application/vnd.docker.image.rootfs.diff.tar.gzip');
  });

  void test('without that wish its bytes are pushed like all others', async () => {
    await build(...platform(WINDOWS), '--output', `type=image,name=${registry.host}/tests/whole:1,push=true`);
    const [first] = (await imageOf('tests/whole', '1')).layers;
    assert.deepEqual(first, {
      mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
      digest: baseOf(V2022).layers[0],
      size: (await registry.blob('tests/whole', first?.digest ?? '')).length,
    });
  });

  void test('one index for two versions of Windows and for Linux, in two repositories and an archive at once', async () => {
    const [old, recent] = THREE as [string, string];
    const names = ['one', 'two'].map((name) => `${registry.host}/tests/${name}:three`);
    const output = [
      'type=image,push=true',
      `"name=${names.join()}"`,
      `annotation-manifest[${old}].test=old`,
      `annotation-manifest-descriptor[${recent}].test=recent`,
      'annotation-index.test=all',
    ];
    const outputs = ['--output', output.join(), '--output', `type=oci,dest=${into('three.tar')}`];
    await build(...platform(...THREE), '--opt', 'attest:provenance=mode=max', ...outputs);
    const index = await registry.manifest('tests/one', 'three');
    assert.equal((await registry.manifest('tests/two', 'three')).digest, index.digest);
    const images = index.body.manifests.slice(0, 3);
    assert.deepEqual(index.body.annotations, { test: 'all' });
    assert.deepEqual(
      images.map((m: any) => [m.platform.os, m.platform['os.version'], m.platform['os.features'], m.annotations]),
      [
        ['windows', '10.0.20348', ['win32k'], undefined],
        ['windows', '10.0.26100', ['win32k'], { test: 'recent' }],
        ['linux', undefined, undefined, undefined],
      ],
    );
    for (const [i, version] of [V2022, V2025].entries()) {
      const image = await imageOf('tests/two', images[i].digest);
      assert.deepEqual(image.annotations, i === 0 ? { test: 'old' } : undefined);
      assert.deepEqual(
        image.layers.slice(0, 2).map((layer) => layer.digest),
        baseOf(version).layers,
        'each has the base of its own version',
      );
      assert.equal(image.config['os.version'], version.split('.').slice(0, 3).join('.'));
      await checkLayers('tests/two', image);
    }
    const linux = await imageOf('tests/one', images[2].digest);
    const [, , top] = linux.layers;
    assert.deepEqual(namesOf(await registry.blob('tests/one', top?.digest ?? '')), [
      'App/',
      'App/Share/',
      'App/Share/readme.txt',
    ]);
    // Each image with what is attested of it.
    assert.deepEqual(
      index.body.manifests.slice(3).map((m: any) => m.annotations['vnd.docker.reference.digest']),
      images.map((m: any) => m.digest),
    );
    const attested = await registry.manifest('tests/one', index.body.manifests[3].digest);
    const statement = JSON.parse(String(await registry.blob('tests/one', attested.body.layers[0].digest)));
    assert.equal(
      statement.subject[0].name,
      `pkg:docker/${registry.host.replace(':', '%3A')}/tests/one@three?platform=windows%2Famd64`,
    );
    assert.equal(statement.subject[0].digest.sha256, images[0].digest.slice('sha256:'.length));
    const archive = JSON.parse(await mustRun('tar', ['-xOf', into('three.tar'), 'index.json']));
    const inArchive = archive.manifests[0].digest.replace(':', '/');
    const archived = JSON.parse(await mustRun('tar', ['-xOf', into('three.tar'), `blobs/${inArchive}`]));
    // The archive was not asked for annotations; its images are the same otherwise.
    assert.deepEqual(
      archived.manifests.slice(1, 3).map((m: any) => m.digest),
      images.slice(1).map((m: any) => m.digest),
    );
  });

  void test('one index for two versions in two registries at once, whose layers say where the base is', async () => {
    const other = await Registry.start(into('other'));
    try {
      const names = [registry, other].map(({ host }) => `${host}/tests/both:1`);
      const attributes = `type=image,push=true,prefer-nondist-layers=true,"name=${names.join()}"`;
      await build(...platform(...THREE.slice(0, 2)), '--output', attributes);
      const [here, there] = [await registry.manifest('tests/both', '1'), await other.manifest('tests/both', '1')];
      assert.equal(here.digest, there.digest);
      assert.equal(there.body.manifests.length, 2);
      for (const { digest } of there.body.manifests) {
        const { body } = await other.manifest('tests/both', digest);
        const [foreign, ...pushed] = body.layers;
        assert.deepEqual(foreign.urls, [`${server.origin}/${foreign.digest}`]);
        for (const at of [registry, other]) assert.equal(await at.hasBlob('tests/both', foreign.digest), false);
        for (const layer of pushed) {
          const bytes = await other.blob('tests/both', layer.digest);
          assert.equal(digestOf(bytes), layer.digest);
          await assertWindowsLayer(bytes, into('layer'));
        }
      }
    } finally {
      await other.stop();
    }
  });

  void test('copies go by the names that are there, and belong to whom they are given', async () => {
    const lines = [
      `FROM ${base}`,
      'COPY dir C:/App/',
      'COPY more.txt C:/app/ONE.TXT',
      'COPY ["dir/one.txt", "C:/program files/tool/TOOL.EXE"]',
      'COPY --chown=ContainerUser dir/one.txt C:/App/mine.txt',
      'COPY --link dir/one.txt C:/Linked/one.txt',
      'ADD files.tar C:/App/',
    ];
    const files = {
      Dockerfile: `${lines.join('\n')}\n`,
      'dir/one.txt': 'one\n',
      'dir/zwei ü.txt': 'two\n',
      'more.txt': 'more\n',
    };
    const copies = writeContext(into('copies'), files);
    symlinkSync('one.txt', into('copies/dir/link'));
    linkSync(into('copies/dir/one.txt'), into('copies/dir/hard'));
    await mustRun('tar', [
      '-C',
      into('copies/dir'),
      '-cf',
      into('copies/files.tar'),
      '--transform',
      's,one,ONE,',
      'one.txt',
    ]);
    const output = `type=image,name=${registry.host}/tests/copies:1,push=true`;
    const { code, stderr } = await daemon.buildctl([], [...copies, ...platform(WINDOWS), '--output', output]);
    assert.equal(code, 0, stderr);
    const own = (await imageOf('tests/copies', '1')).layers.slice(2);
    const blobs = await Promise.all(own.map(({ digest }) => registry.blob('tests/copies', digest)));
    for (const blob of blobs) await assertWindowsLayer(blob, into('layer'));
    const app = 'Files/App/';
    assert.deepEqual(
      blobs.map((blob) => namesOf(blob).slice(2)),
      [
        [app, `${app}hard`, `${app}link`, `${app}one.txt`, `${app}zwei ü.txt`],
        [app, `${app}one.txt`],
        ['Files/Program Files/', 'Files/Program Files/Tool/', 'Files/Program Files/Tool/tool.exe'],
        [app, `${app}mine.txt`],
        ['Files/Linked/', 'Files/Linked/one.txt'],
        [app, `${app}one.txt`],
      ],
    );
    const [first, , , mine] = blobs.map(readTar);
    const entry = (name: string) => first?.find((e) => e.name === `${app}${name}`);
    assert.deepEqual([entry('link')?.type, entry('link')?.linkname], ['2', 'one.txt']);
    assert.deepEqual([entry('one.txt')?.type, entry('one.txt')?.linkname], ['1', `${app}hard`]);
    const descriptor = Buffer.from(mine?.at(-1)?.pax?.get('MSWINDOWS.rawsd') ?? '', 'base64');
    const user = sid('S-1-5-93-2-2');
    assert.deepEqual(descriptor.subarray(descriptor.readUInt32LE(4)).subarray(0, user.length), user);
  });

  void test('on nothing the same files become a layer for Windows and one for Linux', async () => {
    const files = { Dockerfile: 'FROM scratch\nCOPY file.txt /app/\n', 'file.txt': 'text\n' };
    const nothing = writeContext(into('nothing'), files);
    const output = `type=image,name=${registry.host}/tests/nothing:1,push=true`;
    const both = platform('windows(10.0.20348)/amd64', 'linux/amd64');
    const { code, stderr } = await daemon.buildctl([], [...nothing, ...both, '--output', output]);
    assert.equal(code, 0, stderr);
    const { body } = await registry.manifest('tests/nothing', '1');
    const blobs: Buffer[] = [];
    for (const { digest } of body.manifests) {
      const [layer] = (await imageOf('tests/nothing', digest)).layers;
      blobs.push(await registry.blob('tests/nothing', layer?.digest ?? ''));
    }
    assert.deepEqual(blobs.map(namesOf), [
      ['Hives', 'Files', 'Files/app/', 'Files/app/file.txt'],
      ['app/', 'app/file.txt'],
    ]);
    await assertWindowsLayer(blobs[0] as Buffer, into('layer'));
  });

  void test('every compression has the same layers in it', async () => {
    const kinds = { uncompressed: '', gzip: '+gzip', zstd: '+zstd' };
    const seen: unknown[] = [];
    for (const [kind, suffix] of Object.entries(kinds)) {
      const name = `${registry.host}/tests/packed:${kind}`;
      const output = `type=image,name=${name},push=true,compression=${kind},force-compression=true`;
      await build(...platform(WINDOWS), '--output', output);
      const image = await imageOf('tests/packed', kind);
      for (const { mediaType } of image.layers)
        assert.equal(mediaType, `application/vnd.oci.image.layer.v1.tar${suffix}`);
      await checkLayers('tests/packed', image);
      seen.push(image.config.rootfs.diff_ids);
    }
    assert.deepEqual(seen[0], seen[1]);
    assert.deepEqual(seen[0], seen[2]);
    assert.deepEqual((seen[0] as string[]).slice(0, 2), baseOf(V2022).diffIds);
  });

  void test('two runs at different times give the same bytes', async () => {
    const epoch = ['--opt', 'build-arg:SOURCE_DATE_EPOCH=1700000000', '--no-cache'];
    const digests: string[] = [];
    for (const run of ['first', 'second']) {
      const name = `${registry.host}/tests/same:${run}`;
      await build(
        ...platform(WINDOWS),
        ...epoch,
        '--output',
        `type=image,name=${name},push=true,rewrite-timestamp=true`,
      );
      const image = await imageOf('tests/same', run);
      await checkLayers('tests/same', image);
      assert.deepEqual(image.config.rootfs.diff_ids.slice(0, 2), baseOf(V2022).diffIds, 'the base is as it was');
      digests.push(image.digest);
      await new Promise((resolve) => setTimeout(resolve, 1100));
    }
    assert.equal(digests[0], digests[1]);
  });

  void test('an archive for docker, with the media types that docker knows', async () => {
    const output = `type=docker,dest=${into('docker.tar')},name=app:1,oci-mediatypes=false`;
    await build(...platform(WINDOWS), '--output', output);
    const [listed] = JSON.parse(await mustRun('tar', ['-xOf', into('docker.tar'), 'manifest.json']));
    assert.deepEqual(listed.RepoTags, ['app:1']);
    const config = JSON.parse(await mustRun('tar', ['-xOf', into('docker.tar'), listed.Config]));
    assert.deepEqual([config.os, config['os.version'], listed.Layers.length], ['windows', V2022, 5]);
    await mustRun('tar', ['-xf', into('docker.tar'), '-C', scratch.folder]);
    await assertWindowsLayer(readFileSync(into(listed.Layers.at(-1))), into('layer'));
  });

  void test('files in folders by platform, as they are called in Windows: no `Files`, no hives', async () => {
    await build(...platform(...THREE), '--output', `type=local,dest=${into('local')}`);
    const [old, recent, linux] = ['windows(10.0.20348)_amd64', 'windows(10.0.26100)_amd64', 'linux_amd64'] as const;
    assert.deepEqual(readdirSync(into('local')).toSorted(), [linux, old, recent]);
    assert.deepEqual(readdirSync(into(`local/${recent}`)).toSorted(), ['App', 'Program Files', 'Users', 'Windows']);
    const text = (path: string): string => readFileSync(into(`local/${path}`), 'utf8');
    assert.equal(text(`${old}/App/app.exe`), 'program for windows\n');
    assert.equal(text(`${linux}/App/app.exe`), 'program for linux\n');
    assert.match(text(`${old}/Windows/System32/kernel32.dll`), /20348/);
    assert.match(text(`${recent}/Windows/System32/kernel32.dll`), /26100/);

    await build(...platform(...THREE), '--output', `type=tar,dest=${into('files.tar')}`);
    const tar = (await mustRun('tar', ['-tf', into('files.tar')])).split('\n');
    for (const folder of [old, recent, linux]) assert.ok(tar.includes(`${folder}/App/Share/readme.txt`), folder);
    assert.ok(!tar.some((name) => name.includes('License.txt') || name.includes('Hives')), 'deleted by the update');

    // One platform has no folder of its own.
    await build(...platform(WINDOWS), '--output', `type=local,dest=${into('one')}`);
    assert.equal(readFileSync(into('one/App/app.exe'), 'utf8'), 'program for windows\n');
  });

  void test('it stops and leaves nothing behind', () => daemon.stopWithoutLeaks());
});
