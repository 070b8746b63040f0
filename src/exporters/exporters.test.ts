import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { gzipSync } from 'node:zlib';
import { TarReader } from '../archive/index.ts';
import { notFound, parseTime } from '../base/index.ts';
import { openLayoutStore, readBlob } from '../content/index.ts';
import type { ContentStore } from '../content/types.ts';
import { defaultPlatform, digestOf, formatPlatform } from '../oci/index.ts';
import type { Descriptor } from '../oci/types.ts';
import type { SessionCaller } from '../session/types.ts';
import type { ImmutableRef } from '../storage/types.ts';
import { createExporters } from './index.ts';
import type { ExportContext, ExporterDeps } from './index.ts';

const LAYER_TYPE = 'application/vnd.oci.image.layer.v1.tar+gzip';
const CREATED = '2024-05-06T07:08:09Z';

interface Fixture {
  readonly deps: ExporterDeps;
  readonly content: ContentStore;
  readonly lines: string[];
  readonly pushed: string[];
  /** What the client got as a file. */
  readonly file: Uint8Array[];
  readonly context: ExportContext;
  ref(...layers: string[]): Promise<ImmutableRef>;
  read(digest: string): Promise<string>;
}

function fixture(t: test.TestContext): Fixture {
  const root = mkdtempSync(join(tmpdir(), 'exporters-'));
  const content = openLayoutStore(root);
  t.after(() => rmSync(root, { recursive: true, force: true }));
  const lines: string[] = [];
  const pushed: string[] = [];
  const file: Uint8Array[] = [];
  const stream = {
    write: async ({ data }: { data: Uint8Array }) => void file.push(Buffer.from(data)),
    end: () => {},
    readBatch: async () => undefined,
    cancel: () => {},
  };
  const caller = { supports: () => true, channel: { stream: () => stream } } as unknown as SessionCaller;
  const deps: ExporterDeps = {
    content,
    sessions: { get: async () => caller, any: () => Promise.reject(new Error('not asked for')) },
    registry: {
      resolve: () => Promise.reject(new Error('not asked for')),
      fetch: () => {
        throw new Error('not asked for');
      },
      referrers: async () => [],
      blobSize: async () => undefined,
      pushBlob: async (ref, descriptor, open, { mountFrom }) => {
        let bytes = 0;
        for await (const chunk of await open()) bytes += chunk.length;
        assert.equal(bytes, descriptor.size);
        pushed.push(`${ref} blob${mountFrom === undefined ? '' : ` from ${mountFrom}`}`);
      },
      pushManifest: async (ref, descriptor, bytes) => {
        assert.equal(digestOf(bytes), descriptor.digest);
        pushed.push(ref.replace(/sha256:[0-9a-f]{64}/, 'DIGEST'));
      },
    },
  };
  const progress = {
    status: ({ id, completed }: { id: string; completed?: bigint }) => {
      if (completed !== undefined) lines.push(id.replace(/sha256:[0-9a-f]{64}/, 'DIGEST'));
    },
    log: () => {},
    warn: () => {},
  };
  return {
    deps,
    content,
    lines,
    pushed,
    file,
    context: { signal: new AbortController().signal, progress, sessionId: 's', exporterIndex: 0 },
    read: async (digest) => {
      const info = await content.info(digest as never);
      return Buffer.from(await readBlob(content, { digest: digest as never, size: info?.size ?? 0 })).toString();
    },
    ref: async (...layers) => {
      const descriptors: Descriptor[] = [];
      for (const text of layers) {
        const bytes = Buffer.from(text);
        const writer = await content.writer(text);
        const digest = await writer.commit(await writer.write(bytes).then(() => ({})));
        const annotations = {
          'containerd.io/uncompressed': digestOf(`tar ${text}`) as string,
          'buildkit/createdat': CREATED,
        };
        descriptors.push({ mediaType: LAYER_TYPE, digest, size: bytes.length, annotations });
      }
      const layerRef = (text: string): unknown => ({
        metadata: { description: text, createdAt: parseTime(CREATED) },
        release: async () => {},
      });
      return {
        remote: async () => ({ descriptors, provider: content }),
        layerChain: () => layers.map(layerRef),
      } as unknown as ImmutableRef;
    },
  };
}

const bytesOf = (value: unknown): Uint8Array => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));

void test('an empty result is an image whose bytes are those of Go', async (t) => {
  const f = fixture(t);
  const image = createExporters(f.deps).get('image')?.resolve(new Map());
  assert.equal(image?.name, 'exporting to image');
  const { response } = await (image as NonNullable<typeof image>).export({ metadata: new Map() }, f.context);
  const { architecture } = defaultPlatform();
  const config = await f.read(response.get('containerimage.config.digest') as string);
  assert.equal(
    config,
    `{"architecture":"${architecture}","config":{"Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],"WorkingDir":"/"},"created":null,"history":null,"os":"linux","rootfs":{"type":"layers","diff_ids":null}}`,
  );
  assert.equal(
    await f.read(response.get('containerimage.digest') as string),
    `{
  "schemaVersion": 2,
  "mediaType": "application/vnd.oci.image.manifest.v1+json",
  "config": {
    "mediaType": "application/vnd.oci.image.config.v1+json",
    "digest": "${digestOf(config)}",
    "size": ${config.length}
  },
  "layers": null
}`,
  );
  assert.deepEqual(f.lines, ['exporting layers', 'exporting manifest DIGEST', 'exporting config DIGEST']);
  const descriptor = Buffer.from(response.get('containerimage.descriptor') ?? '', 'base64').toString();
  assert.match(
    descriptor,
    new RegExp(
      `^{"mediaType":"[^"]+","digest":"[^"]+","size":\\d+,"platform":{"architecture":"${architecture}","os":"linux"}}$`,
    ),
  );
});

void test('a config keeps what nobody understands, and its history is completed', async (t) => {
  const f = fixture(t);
  const image = createExporters(f.deps).get('image');
  const config =
    '{"os":"linux","architecture":"amd64", "x-big": 12345678901234567890, "config":{"Labels":{"2":"b","1":"<a>"}},' +
    '"history":[{"created_by":"base & co","created":"2020-01-01T00:00:00.500Z"},{"created_by":"ENV a","empty_layer":true}],"rootfs":{"type":"layers","diff_ids":["old"]}}';
  const ref = await f.ref('one', 'two');
  const metadata = new Map([['containerimage.config', bytesOf(config)]]);
  const exported = await image?.resolve(new Map([['oci-mediatypes', 'false']])).export({ ref, metadata }, f.context);
  const text = await f.read(exported?.response.get('containerimage.config.digest') as string);
  assert.equal(
    text,
    '{"architecture":"amd64","config":{"Labels":{"2":"b","1":"\\u003ca\\u003e"}},"created":"2024-05-06T07:08:09Z",' +
      '"history":[{"created":"2020-01-01T00:00:00.5Z","created_by":"base \\u0026 co"},' +
      '{"created":"2024-05-06T07:08:09Z","created_by":"ENV a","empty_layer":true},' +
      '{"created":"2024-05-06T07:08:09Z","created_by":"two","comment":"buildkit.exporter.image.v0"}],' +
      `"os":"linux","rootfs":{"type":"layers","diff_ids":["${digestOf('tar one')}","${digestOf('tar two')}"]},"x-big":12345678901234567890}`,
  );
  const manifest = JSON.parse(await f.read(exported?.response.get('containerimage.digest') as string)) as {
    mediaType: string;
    layers: Descriptor[];
  };
  assert.equal(manifest.mediaType, 'application/vnd.docker.distribution.manifest.v2+json');
  assert.deepEqual(manifest.layers[0], {
    mediaType: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
    digest: digestOf('one'),
    size: 3,
  });
});

void test('a layer whose files are cut to the epoch says so', async (t) => {
  const f = fixture(t);
  const bytes = gzipSync(Buffer.alloc(1024));
  const writer = await f.content.writer('layer');
  await writer.write(bytes);
  const digest = await writer.commit({});
  const annotations = { 'containerd.io/uncompressed': 'sha256:old' };
  const ref = {
    remote: async () => ({
      descriptors: [{ mediaType: LAYER_TYPE, digest, size: bytes.length, annotations }],
      provider: f.content,
    }),
    layerChain: () => [],
  } as unknown as ImmutableRef;
  const attrs = new Map([
    ['rewrite-timestamp', 'true'],
    ['source-date-epoch', '1700000000'],
  ]);
  const exported = await createExporters(f.deps)
    .get('image')
    ?.resolve(attrs)
    .export({ ref, metadata: new Map() }, f.context);
  const manifest = JSON.parse(await f.read(exported?.response.get('containerimage.digest') as string)) as {
    layers: Descriptor[];
  };
  assert.deepEqual(manifest.layers[0].annotations, { 'buildkit/rewritten-timestamp': '1700000000' });
});

void test('times of this build are cut to the epoch, those of the base image stay', async (t) => {
  const f = fixture(t);
  const base = {
    os: 'linux',
    architecture: 'amd64',
    history: [{ created: '2023-01-01T00:00:00Z', created_by: 'base' }],
    rootfs: { type: 'layers', diff_ids: [] },
  };
  const metadata = new Map([
    ['containerimage.config', bytesOf({ ...base, created: '2025-01-01T00:00:00Z' })],
    ['containerimage.base.config', bytesOf(base)],
  ]);
  const image = createExporters(f.deps)
    .get('image')
    ?.resolve(new Map([['source-date-epoch', '1000000000']]));
  const exported = await image?.export({ ref: await f.ref('one', 'two'), metadata }, f.context);
  const config = JSON.parse(await f.read(exported?.response.get('containerimage.config.digest') as string)) as {
    created: string;
    history: { created: string }[];
  };
  assert.equal(config.created, '2001-09-09T01:46:40Z');
  assert.deepEqual(
    config.history.map((h) => h.created),
    ['2023-01-01T00:00:00Z', '2001-09-09T01:46:40Z'],
  );
});

void test('several platforms are an index, pushed from its leaves up', async (t) => {
  const f = fixture(t);
  const platforms = [
    { ID: 'linux/amd64', Platform: { architecture: 'amd64', os: 'linux' } },
    { ID: 'linux/arm64', Platform: { architecture: 'arm64', os: 'linux', variant: 'v8' } },
  ];
  const metadata = new Map<string, Uint8Array>([
    ['refs.platforms', bytesOf({ Platforms: platforms })],
    ...platforms.map(({ ID, Platform }) => [`containerimage.config/${ID}`, bytesOf({ ...Platform })] as const),
  ]);
  const refs = new Map([
    ['linux/amd64', await f.ref('one')],
    ['linux/arm64', await f.ref('two')],
  ]);
  const attrs = new Map([
    ['name', 'example.com/a,example.com/b:1'],
    ['push', ''],
    ['annotation[linux/arm64].k', 'v'],
    ['annotation-index.k', 'i'],
  ]);
  const exported = await createExporters(f.deps).get('image')?.resolve(attrs).export({ refs, metadata }, f.context);
  assert.equal(exported?.response.has('containerimage.config.digest'), false);
  assert.equal(exported?.response.get('image.name'), 'example.com/a,example.com/b:1');
  const index = JSON.parse(await f.read(exported?.response.get('containerimage.digest') as string)) as {
    manifests: Descriptor[];
    annotations: unknown;
  };
  assert.deepEqual(index.annotations, { k: 'i' });
  assert.deepEqual(
    index.manifests.map((m) => m.platform),
    [
      { architecture: 'amd64', os: 'linux' },
      { architecture: 'arm64', os: 'linux' },
    ],
  );
  const arm = JSON.parse(await f.read(index.manifests[1]?.digest as string)) as { annotations: unknown };
  assert.deepEqual(arm.annotations, { k: 'v' });
  assert.deepEqual(f.pushed, []);
  await exported?.finalize?.(f.context);
  const one = (name: string, tag: string, from = ''): string[] => [
    ...Array.from({ length: 4 }, () => `${name} blob${from}`),
    `${name}@DIGEST`,
    `${name}@DIGEST`,
    `${name}:${tag}`,
  ];
  assert.deepEqual(f.pushed, [...one('example.com/a', 'latest'), ...one('example.com/b', '1', ' from example.com/a')]);
  assert.deepEqual(f.lines.slice(-2), ['pushing layers', 'pushing manifest for example.com/b:1@DIGEST']);
});

void test('versions of Windows are platforms of their own: in the index, in annotations by any name', async (t) => {
  const f = fixture(t);
  const windows = (version: string): { architecture: string; os: string; 'os.version': string } => ({
    architecture: 'amd64',
    os: 'windows',
    'os.version': version,
  });
  // The first was asked for without a version and got that of its base image.
  const platforms = [
    { ID: 'windows/amd64', Platform: { ...windows('10.0.17763.1'), 'os.features': ['win32k'] } },
    { ID: 'windows(10.0.20348)/amd64', Platform: windows('10.0.20348') },
    { ID: 'windows(10.0.26100)/amd64', Platform: windows('10.0.26100') },
  ];
  const metadata = new Map<string, Uint8Array>([
    ['refs.platforms', bytesOf({ Platforms: platforms })],
    ...platforms.map(({ ID, Platform }) => [`containerimage.config/${ID}`, bytesOf(Platform)] as const),
  ]);
  const refs = new Map<string, ImmutableRef>();
  for (const { ID } of platforms) refs.set(ID, await f.ref(ID));
  const exportWith = async (...attrs: [string, string][]): Promise<{ manifests: Descriptor[] }> => {
    const image = createExporters(f.deps).get('image')?.resolve(new Map(attrs));
    const exported = await image?.export({ refs, metadata }, f.context);
    return JSON.parse(await f.read(exported?.response.get('containerimage.digest') as string));
  };
  const { manifests } = await exportWith(
    ['annotation-manifest[windows/amd64].asked', '1'],
    ['annotation[windows(10.0.17763.1+win32k)/amd64].extended', '2'],
    ['annotation-manifest[windows(10.0.20348)/amd64].a.b', '3'],
    ['annotation-manifest-descriptor[windows(10.0.26100)/amd64].c', '4'],
    ['annotation.all', '5'],
  );
  assert.deepEqual(
    manifests.map((m) => m.platform),
    platforms.map((p) => p.Platform),
  );
  const annotations: unknown[] = [];
  for (const { digest } of manifests) annotations.push(JSON.parse(await f.read(digest)).annotations);
  assert.deepEqual(annotations, [{ all: '5', asked: '1', extended: '2' }, { all: '5', 'a.b': '3' }, { all: '5' }]);
  assert.deepEqual(
    manifests.map((m) => m.annotations),
    [undefined, undefined, { c: '4' }],
  );
  await assert.rejects(exportWith(['annotation[windows(10.0.25398)/amd64].x', '6']), {
    message: 'invalid annotation: no platform windows(10.0.25398)/amd64 found in source',
  });
  assert.throws(
    () =>
      createExporters(f.deps)
        .get('oci')
        ?.resolve(new Map([['annotation[windows(1/amd64].x', '7']])),
    {
      message: /"windows\(1" is an invalid OS component/,
    },
  );
});

void test('a docker archive has what docker and OCI readers look for', async (t) => {
  const f = fixture(t);
  const docker = createExporters(f.deps)
    .get('docker')
    ?.resolve(new Map([['name', 'alpine']]));
  const exported = await docker?.export({ ref: await f.ref('one'), metadata: new Map() }, f.context);
  assert.equal(exported?.response.get('image.name'), 'docker.io/library/alpine:latest');
  const entries = new Map<string, string>();
  let name = '';
  const reader = new TarReader({
    entry: (header) => {
      name = header.name;
      entries.set(name, '');
    },
    data: (chunk) => void entries.set(name, `${entries.get(name)}${Buffer.from(chunk).toString()}`),
    entryEnd: () => {},
  });
  for (const chunk of f.file) reader.write(chunk);
  const names = [...entries.keys()];
  assert.deepEqual(names, names.toSorted());
  assert.deepEqual(
    names.filter((n) => !/[0-9a-f]{64}/.test(n)),
    ['blobs/', 'blobs/sha256/', 'index.json', 'manifest.json', 'oci-layout'],
  );
  const [manifest] = JSON.parse(entries.get('manifest.json') ?? '') as [{ RepoTags: string[]; Layers: string[] }];
  assert.deepEqual(manifest.RepoTags, ['alpine:latest']);
  assert.equal(entries.get(manifest.Layers[0] ?? ''), 'one');
  const index = JSON.parse(entries.get('index.json') ?? '') as { manifests: { annotations: Record<string, string> }[] };
  assert.equal(index.manifests[0]?.annotations['org.opencontainers.image.ref.name'], 'latest');
  assert.equal(index.manifests[0]?.annotations['io.containerd.image.name'], 'docker.io/library/alpine:latest');
  assert.equal(f.lines.at(-1), 'sending tarball');
});

void test('what cannot be exported is refused in the words of upstream', async (t) => {
  const f = fixture(t);
  const exporters = createExporters(f.deps);
  assert.deepEqual([...exporters.keys()].toSorted(), ['docker', 'image', 'local', 'oci', 'tar']);
  const bad = (type: string, attrs: Record<string, string>, error: RegExp): void =>
    assert.throws(() => exporters.get(type)?.resolve(new Map(Object.entries(attrs))), error);
  bad('image', { push: 'maybe' }, /non-bool value specified for push/);
  bad('image', { compression: 'lz4' }, /unsupported compression type lz4/);
  bad('image', { 'oci-mediatypes': '' }, /non-bool value specified for oci-mediatypes/);
  bad(
    'image',
    { compression: 'estargz', 'oci-mediatypes': 'false' },
    /exporter option "compression=estargz" conflicts with "oci-mediatypes=false"/,
  );
  bad('image', { 'annotation-x.k': 'v' }, /unrecognized annotation type x/);
  bad('oci', { 'compression-level': 'x' }, /non-integer value x specified for compression-level/);
  bad('local', { mode: 'move' }, /invalid local exporter mode "move"/);
  const own = formatPlatform(defaultPlatform());
  const mapped = { refs: new Map([[own, await f.ref('one')]]), metadata: new Map<string, Uint8Array>() };
  const image = exporters.get('image')?.resolve(new Map());
  await assert.rejects(
    async () => image?.export(mapped, f.context),
    /unable to export multiple refs, missing platforms mapping/,
  );
  const docker = exporters.get('docker')?.resolve(new Map());
  await assert.rejects(
    async () => docker?.export(mapped, f.context),
    /docker exporter does not currently support exporting manifest lists/,
  );
  const annotated = exporters.get('image')?.resolve(new Map([['annotation-index.k', 'v']]));
  await assert.rejects(
    async () => annotated?.export({ metadata: new Map() }, f.context),
    /index annotations not supported for single platform export/,
  );
});

void test('a client that wants a layout gets the blobs into its own store, children first', async (t) => {
  const f = fixture(t);
  const stored: string[] = [];
  const writes = (): unknown => {
    let offset = 0n;
    let digest = '';
    return {
      write: async (request: { action: number; data: Uint8Array; expected: string; ref: string }) => {
        offset += BigInt(request.data.length);
        digest = request.expected;
        if (digest !== '') stored.push(request.ref.replace(/sha256:[0-9a-f]{64}/, 'DIGEST'));
      },
      read: async () => ({ offset, digest }),
      end: () => {},
      cancel: () => {},
    };
  };
  const channel = { stream: writes, unary: () => Promise.reject(notFound('no such blob')) };
  const caller = { supports: () => true, channel } as unknown as SessionCaller;
  const exporters = createExporters({ ...f.deps, sessions: { ...f.deps.sessions, get: async () => caller } });
  const oci = exporters.get('oci')?.resolve(new Map([['tar', 'false']]));
  const exported = await oci?.export({ ref: await f.ref('one'), metadata: new Map() }, f.context);
  assert.deepEqual(stored.toSorted(), ['config-DIGEST', 'layer-DIGEST', 'manifest-DIGEST']);
  assert.equal(stored.at(-1), 'manifest-DIGEST');
  const descriptor = JSON.parse(
    Buffer.from(exported?.response.get('containerimage.descriptor') ?? '', 'base64').toString(),
  ) as Descriptor;
  assert.match(descriptor.annotations?.['org.opencontainers.image.created'] ?? '', /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
});

void test('named images are kept in the store of images', async (t) => {
  const f = fixture(t);
  const named = new Map<string, Descriptor>();
  const images = {
    find: () => undefined,
    set: (name: string, target: Descriptor) => void named.set(name, target),
    delete: () => false,
    list: () => [],
  };
  const attrs = new Map([
    ['name', 'a:1'],
    ['name-canonical', ''],
    ['dangling-name-prefix', 'left'],
  ]);
  const image = createExporters({ ...f.deps, images })
    .get('image')
    ?.resolve(attrs);
  const exported = await image?.export({ ref: await f.ref('one'), metadata: new Map() }, f.context);
  const digest = exported?.response.get('containerimage.digest');
  assert.deepEqual([...named.keys()], ['a:1', `a:1@${digest}`, `left@${digest}`]);
  assert.equal(exported?.response.get('image.name'), `a:1,left@${digest}`);
  // What the manifest refers to is kept with it.
  const info = await f.content.info(digest as never);
  assert.deepEqual([...(info?.labels.values() ?? [])].at(1), digestOf('one'));
  assert.ok(f.lines.includes('naming to a:1'));
});
