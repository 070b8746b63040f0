import assert from 'node:assert/strict';
import { test } from 'node:test';
import { noProgress, notFound } from '../base/index.ts';
import { bytesReader } from '../content/index.ts';
import type { BlobInfo, ContentStore } from '../content/types.ts';
import { chainId, digestOf, MediaType } from '../oci/index.ts';
import type { Descriptor, Digest, Platform } from '../oci/index.ts';
import type { Registry, RegistryContext } from '../registry/types.ts';
import type { SessionManager } from '../session/types.ts';
import type { JobContext } from '../solver/types.ts';
import type { CacheAccessor, ImmutableRef, LazyBlobProvider } from '../storage/types.ts';
import { registryOrigin } from './image-origin.ts';
import { createImageSource, createMetaResolver, createReopenProvider } from './index.ts';

const blobs = new Map<Digest, Uint8Array>();

function put(mediaType: string, value: Buffer | object, platform?: Platform): Descriptor {
  const bytes = Buffer.isBuffer(value) ? value : Buffer.from(JSON.stringify(value));
  const digest = digestOf(bytes);
  blobs.set(digest, bytes);
  return { mediaType, digest, size: bytes.length, ...(platform === undefined ? {} : { platform }) };
}

function makeImage(architecture: string, layerTexts: readonly string[]): Descriptor {
  const layers = layerTexts.map((t) => put(MediaType.ociLayer, Buffer.from(t)));
  const rootfs = { type: 'layers', diff_ids: layers.map((l) => l.digest) };
  const config = put(MediaType.ociConfig, { architecture, os: 'linux', config: { Env: ['A=1'] }, rootfs });
  return put(
    MediaType.ociManifest,
    { schemaVersion: 2, mediaType: MediaType.ociManifest, config, layers },
    { os: 'linux', architecture },
  );
}

const amd64 = makeImage('amd64', ['one', 'two']);
const root = put(MediaType.ociIndex, {
  schemaVersion: 2,
  mediaType: MediaType.ociIndex,
  manifests: [makeImage('arm64', ['x']), amd64],
});

function fakeContent(): ContentStore {
  const kept = new Map<Digest, { bytes: Uint8Array; labels: ReadonlyMap<string, string> }>();
  return {
    info: async (digest: Digest): Promise<BlobInfo | undefined> => {
      const found = kept.get(digest);
      return found && { digest, size: found.bytes.length, createdAt: 0n, labels: found.labels };
    },
    reader: async ({ digest }: { digest: Digest }) => bytesReader(kept.get(digest)?.bytes as Uint8Array),
    writer: async (ref: string) => {
      const parts: Uint8Array[] = [];
      return {
        ref,
        offset: 0,
        write: async (chunk: Uint8Array) => void parts.push(chunk),
        commit: async ({ labels }: { labels?: ReadonlyMap<string, string> }) => {
          const bytes = Buffer.concat(parts);
          kept.set(digestOf(bytes), { bytes, labels: labels ?? new Map() });
          return digestOf(bytes);
        },
        abort: async () => {},
      };
    },
  } as unknown as ContentStore;
}

function setup(change: (bytes: Uint8Array, digest: Digest) => Uint8Array = (b) => b) {
  const calls = { resolve: 0, fetch: 0 };
  const registry = {
    resolve: async (ref: string) => {
      calls.resolve++;
      if (ref.includes('missing')) throw notFound(`${ref}: not found`);
      return { ref: `${ref}@${root.digest}`, descriptor: root };
    },
    async *fetch(_: string, descriptor: Descriptor) {
      calls.fetch++;
      yield change(blobs.get(descriptor.digest) as Uint8Array, descriptor.digest);
    },
  } as unknown as Registry;
  const asked: { descriptor: Descriptor; provider: LazyBlobProvider | undefined }[] = [];
  let open = 0;
  const accessor = {
    fromBlob: async (descriptor: Descriptor, _: unknown, options: { provider?: LazyBlobProvider }) => {
      asked.push({ descriptor, provider: options.provider });
      open++;
      return { id: descriptor.digest, release: async () => void open-- } as unknown as ImmutableRef;
    },
  } as unknown as CacheAccessor;
  const deps = { registry, sessions: {} as SessionManager, content: fakeContent(), accessor };
  const once = new Map<string, Promise<unknown>>();
  const context = {
    signal: new AbortController().signal,
    progress: noProgress,
    sessions: () => [],
    once: (key: string, work: () => Promise<unknown>) => once.get(key) ?? (once.set(key, work()), once.get(key)),
  } as unknown as JobContext;
  const request = (ref: string, attrs: Record<string, string> = {}) => ({
    scheme: 'docker-image',
    ref,
    attrs: new Map(Object.entries(attrs)),
    platform: { os: 'linux', architecture: 'amd64' },
  });
  return { deps, context, request, calls, asked, open: () => open, source: createImageSource(deps) };
}

void test('keys are the manifest, then the chain of layers; layers stay lazy and can be reopened', async () => {
  const { source, context, request, asked, open, deps } = setup();
  const instance = source.resolve(request('docker.io/library/a:1'));
  const key = digestOf(`{"Digest":"${root.digest}","OS":"linux","Arch":"amd64"}`);
  assert.deepEqual(await instance.cacheKey(context, 0), { key, pin: root.digest, done: false });
  const layers = ['one', 'two'].map((t) => digestOf(t));
  assert.deepEqual(await instance.cacheKey(context, 1), { key: chainId(layers), pin: root.digest, done: true });
  const ref = await instance.snapshot(context);
  assert.equal(ref?.id, layers[1]);
  assert.equal(open(), 1);
  assert.deepEqual(
    asked.map((a) => a.descriptor.annotations?.['containerd.io/uncompressed']),
    layers,
  );
  const provider = createReopenProvider(deps)(asked[0].provider?.origin as string);
  const reader = await provider?.reader(asked[0].descriptor);
  assert.equal(Buffer.from((await reader?.read(1, 2)) as Uint8Array).toString(), 'ne');
});

void test('the same layers in an image for Windows are not the same', async () => {
  const { source, context, request } = setup();
  const single = { ...request('docker.io/library/a:1'), platform: { os: 'windows', architecture: 'amd64' } };
  await assert.rejects(source.resolve(single).cacheKey(context, 1), /no match for platform in manifest/);
  const only = setup();
  const registry = { ...only.deps.registry, resolve: async (ref: string) => ({ ref, descriptor: amd64 }) };
  const plain = createImageSource({ ...only.deps, registry });
  const chain = chainId(['one', 'two'].map((text) => digestOf(text)));
  assert.equal((await plain.resolve(request('docker.io/library/a:1')).cacheKey(only.context, 1)).key, chain);
  const { key } = await plain.resolve(single).cacheKey({ ...context, once: (_, work) => work() }, 1);
  assert.notEqual(key, chain);
});

void test('limits, checksums and attributes', async () => {
  const { source, context, request } = setup();
  const limited = source.resolve(request('docker.io/library/a:1', { 'image.layerlimit': '1' }));
  assert.equal((await limited.snapshot(context))?.id, digestOf('one'));
  const wrong = source.resolve(request('docker.io/library/a:1', { 'image.checksum': amd64.digest }));
  await assert.rejects(wrong.cacheKey(context, 0), /does not match expected checksum/);
  assert.throws(
    () => source.resolve(request('docker.io/library/a:1', { 'image.layerlimit': '0' })),
    /invalid layer limit 0/,
  );
  assert.throws(
    () => source.resolve(request('docker.io/library/a:1', { 'image.resolvemode': 'x' })),
    /invalid resolvemode: x/,
  );
  assert.throws(() => source.normalize(request('docker.io/library/a')), /object required/);
  const other = source.resolve({
    ...request('docker.io/library/a:1'),
    platform: { os: 'linux', architecture: 's390x' },
  });
  await assert.rejects(other.cacheKey(context, 0), /no match for platform in manifest: not found/);
});

void test('a registry that lies is not believed', async () => {
  const { source, context, request } = setup((bytes, digest) =>
    digest === amd64.digest ? Buffer.from(bytes).fill(0x20, 0, 1) : bytes,
  );
  await assert.rejects(
    source.resolve(request('docker.io/library/a:1')).cacheKey(context, 0),
    /unexpected commit digest/,
  );
});

void test('frontends get digest and config; a pinned image needs the registry once', async () => {
  const { deps, context, calls } = setup();
  const meta = createMetaResolver(deps, []);
  const found = await meta.source(
    'docker-image://a:1',
    new Map(),
    { platform: { os: 'linux', architecture: 'amd64' } },
    context,
  );
  assert.equal(found.identifier, 'docker-image://docker.io/library/a:1');
  assert.equal(found.image?.digest, root.digest);
  assert.deepEqual(JSON.parse(Buffer.from(found.image?.config ?? '').toString()).config, { Env: ['A=1'] });
  const before = { ...calls };
  await meta.source(
    `docker-image://a@${root.digest}`,
    new Map(),
    { platform: { os: 'linux', architecture: 'amd64' } },
    context,
  );
  assert.deepEqual(calls, before);
  await assert.rejects(
    meta.source('docker-image://missing', new Map(), {}, context),
    /^BuildError: docker.io\/library\/missing:latest: not found/,
  );
  const source = await meta.source('docker-image://docker.io/library/a:1', new Map(), { noConfig: true }, context);
  assert.deepEqual(source.image, { digest: root.digest });
});

void test('whoever reads a layer is asked who they are, not whoever resolved the image', async () => {
  const { deps } = setup();
  const groups: (readonly string[])[] = [];
  const sessions = {
    any: async (group: () => readonly string[]) => {
      groups.push(group());
      return { username: 'u', secret: 's' };
    },
  } as unknown as SessionManager;
  const registry = {
    async *fetch(_: string, __: Descriptor, context: RegistryContext) {
      await context.auth?.credentials?.('host');
      yield Buffer.from('x');
    },
  } as unknown as Registry;
  const origin = registryOrigin({ ...deps, sessions, registry }, 'docker.io/library/a:1', {
    sessions: () => ['maker'],
  });
  const read = async (readers?: () => readonly string[]): Promise<void> => {
    const reader = await origin.reader({ digest: amd64.digest, size: 1 }, undefined, readers);
    await reader.read(0, 1);
  };
  await read(() => ['reader']);
  await read(() => []);
  await read();
  assert.deepEqual(groups, [['reader'], ['maker'], ['maker']]);
});
