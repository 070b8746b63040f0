import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import type { ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import test from 'node:test';
import { gzipSync } from 'node:zlib';
import { encodeTarHeader, TAR_TRAILER, tarPadding, TarType, toByteString } from '../archive/index.ts';
import { BuildError, Code, configureLog } from '../base/index.ts';
import { bytesReader } from '../content/index.ts';
import { openDatabase } from '../metadata/index.ts';
import { digestOf } from '../oci/index.ts';
import type { Descriptor } from '../oci/types.ts';
import { mountLocally, openStorage } from './index.ts';
import type { ImmutableRef, LazyBlobProvider, Storage, StorageKernel } from './index.ts';

const GZIP = { type: 'gzip', force: false } as const;

const kernel: StorageKernel = {
  async mount(mounts, target) {
    for (const mount of mounts) {
      const bind = mount.type.endsWith('bind');
      const options = mount.options.filter((o) => !o.endsWith('bind'));
      if (bind) execFileSync('mount', ['--rbind', mount.source, target]);
      else
        execFileSync('mount', ['-t', mount.type, '-o', options.join(','), mount.source, target], { stdio: 'ignore' });
      if (bind && options.includes('ro')) execFileSync('mount', ['-o', 'remount,bind,ro', target]);
    }
  },
  async unmount(target) {
    if (kernel.mountPoints(target).includes(target)) execFileSync('umount', ['-l', target]);
  },
  mountPoints: (directory) =>
    readFileSync('/proc/self/mountinfo', 'utf8')
      .split('\n')
      .map((line) => line.split(' ')[4] ?? '')
      .filter((point) => point === directory || point.startsWith(`${directory}/`)),
  space: (path) => {
    const { bsize, blocks, bavail } = statfsSync(path);
    return { total: bsize * blocks, free: bsize * bavail };
  },
  bootId: () => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim(),
  syncFileSystem: async () => {},
};

function openAt(
  root: string,
  snapshotter: 'overlayfs' | 'native',
  more: { reopenProvider?: (origin: string) => LazyBlobProvider | undefined } = {},
): Promise<Storage> {
  return openStorage({ root, snapshotter, kernel, ...more });
}

async function layer(
  storage: Storage,
  parent: ImmutableRef | undefined,
  files: Readonly<Record<string, string>>,
  retain = true,
): Promise<ImmutableRef> {
  const mutable = await storage.accessor.create(parent, { description: `layer ${Object.keys(files).join(' ')}` });
  const mounted = await mountLocally(mutable, { readonly: false });
  for (const [name, text] of Object.entries(files)) writeFileSync(join(mounted.dir, name), text);
  await mounted.release();
  const ref = await mutable.commit();
  if (retain) await ref.metadata.setRetain(true);
  return ref;
}

async function filesOf(ref: ImmutableRef): Promise<string[]> {
  const mounted = await mountLocally(ref, { readonly: true });
  try {
    return readdirSync(mounted.dir).sort();
  } finally {
    await mounted.release();
  }
}

function layerBlob(files: Readonly<Record<string, string>>): { descriptor: Descriptor; bytes: Uint8Array } {
  const empty = toByteString('');
  const parts = Object.entries(files).flatMap(([name, text]) => {
    const head = {
      type: TarType.File,
      mode: 0o644,
      uid: 0,
      gid: 0,
      mtimeNs: 0n,
      linkname: empty,
      uname: empty,
      gname: empty,
      devmajor: 0,
      devminor: 0,
    };
    return [
      encodeTarHeader({ ...head, name: toByteString(name), size: text.length }),
      Buffer.from(text),
      tarPadding(text.length),
    ];
  });
  const tar = Buffer.concat([...parts, TAR_TRAILER]);
  const bytes = gzipSync(tar);
  const annotations = { 'containerd.io/uncompressed': digestOf(tar) as string };
  const mediaType = 'application/vnd.oci.image.layer.v1.tar+gzip';
  return { bytes, descriptor: { mediaType, digest: digestOf(bytes), size: bytes.length, annotations } };
}

function providerOf(bytes: Uint8Array): LazyBlobProvider & { reads: number } {
  const provider = {
    origin: '{"test":true}',
    reads: 0,
    reader: async () => {
      provider.reads++;
      return bytesReader(bytes);
    },
  };
  return provider;
}

const seen = (error: unknown): Code | undefined => (error instanceof BuildError ? error.code : undefined);

async function runChild(root: string, snapshotter: 'overlayfs' | 'native'): Promise<void> {
  configureLog({ level: 'error' });
  const storage = await openAt(root, snapshotter);
  let parent: ImmutableRef | undefined;
  for (let i = 0; ; i++) {
    const ref: ImmutableRef = await layer(storage, parent, { [`file-${i}`]: `text ${i}` });
    await ref.metadata.set('number', String(i), 'numbered');
    if (i % 3 === 2) await ref.remote(GZIP, { create: true }, {});
    // What is said here is acknowledged.
    process.stdout.write(`${i} ${ref.id}\n`);
    await parent?.release();
    parent = i % 6 === 5 ? undefined : ref;
    if (parent === undefined) await ref.release();
  }
}

const [, , childRoot, childSnapshotter] = process.argv;
if (childRoot !== undefined && process.env['STORAGE_TEST_CHILD'] === '1') {
  await runChild(childRoot, childSnapshotter as 'overlayfs' | 'native');
}

const isRoot = process.getuid?.() === 0;
configureLog({ level: 'error' });

for (const snapshotter of ['overlayfs', 'native'] as const) {
  const contract = (
    name: string,
    work: (storage: Storage, root: string, t: test.TestContext) => Promise<Storage | void>,
  ): void => {
    void test(`${snapshotter}: ${name}`, { skip: !isRoot && 'needs root' }, async (t) => {
      const root = mkdtempSync(join(tmpdir(), 'storage-'));
      t.after(() => {
        for (const point of kernel.mountPoints(root).toReversed()) execFileSync('umount', ['-l', point]);
        rmSync(root, { recursive: true, force: true });
      });
      const first = await openAt(root, snapshotter);
      let last = first;
      try {
        last = (await work(first, root, t)) ?? first;
        assert.deepEqual(last.leaks(), []);
      } finally {
        await last.close();
      }
      assert.deepEqual(kernel.mountPoints(join(root, 'mounts')), []);
      assert.deepEqual(existsSync(join(root, 'mounts')) ? readdirSync(join(root, 'mounts')) : [], []);
    });
  };

  contract('layers stack, and a parent is not changed by its child', async (storage) => {
    const base = await layer(storage, undefined, { a: '1', b: '1' });
    const top = await layer(storage, base, { b: '2', c: '2' });
    assert.deepEqual(await filesOf(base), ['a', 'b']);
    assert.deepEqual(await filesOf(top), ['a', 'b', 'c']);
    const mounted = await mountLocally(top, { readonly: true });
    assert.equal(readFileSync(join(mounted.dir, 'b'), 'utf8'), '2');
    await mounted.release();
    const chain = top.layerChain();
    assert.deepEqual(
      chain.map((ref) => ref.id),
      [base.id, top.id],
    );
    for (const ref of [...chain, base, top]) await ref.release();
    await assert.rejects(base.release(), /released twice/);
  });

  contract('chains longer than one mount can name', async (storage) => {
    const count = 90;
    let top: ImmutableRef | undefined;
    for (let i = 0; i < count; i++) {
      const next = await storage.accessor.create(top);
      const committed = await next.commit();
      await committed.metadata.setRetain(true);
      await top?.release();
      top = committed;
    }
    const last = await layer(storage, top, { end: '' });
    assert.deepEqual(await filesOf(last), ['end']);
    await top?.release();
    await last.release();
  });

  contract('a committed mutable is written to again once nobody reads it', async (storage) => {
    const { accessor } = storage;
    const mutable = await accessor.create(undefined, { retain: true, recordType: 'exec.cachemount' });
    await assert.rejects(
      accessor.getMutable(mutable.id),
      (error) => seen(error) === Code.FailedPrecondition && /is locked: locked/.test(String(error)),
    );
    const committed = await mutable.commit();
    await assert.rejects(accessor.getMutable(mutable.id), /locked/);
    const again = await accessor.get(mutable.id);
    assert.equal(again.id, committed.id);
    await again.release();
    await committed.release();
    const reopened = await accessor.getMutable(mutable.id);
    await assert.rejects(accessor.get(committed.id), (error) => seen(error) === Code.NotFound);
    await reopened.release();
    await assert.rejects(accessor.get('nothing'), (error) => seen(error) === Code.NotFound);
  });

  contract('several writers share one mount of a cache', async (storage) => {
    const base = await layer(storage, undefined, { a: '1' });
    const mutable = await storage.accessor.create(base, { retain: true, recordType: 'exec.cachemount' });
    const one = await mountLocally(mutable, { readonly: false });
    const two = await mountLocally(mutable, { readonly: false });
    writeFileSync(join(one.dir, 'b'), '');
    await one.release();
    assert.deepEqual(readdirSync(two.dir), ['a', 'b']);
    writeFileSync(join(two.dir, 'c'), '');
    await two.release();
    const three = await mountLocally(mutable, { readonly: true });
    assert.deepEqual(readdirSync(three.dir), ['a', 'b', 'c']);
    await three.release();
    await mutable.release();
    await base.release();
  });

  contract('a cache that nobody wants to keep any more goes', async (storage) => {
    const mutable = await storage.accessor.create(undefined, { retain: true, recordType: 'exec.cachemount' });
    await mutable.metadata.set('cache-dir', 'x', 'cache-dir:x');
    await mutable.release();
    const [found] = await storage.accessor.search('cache-dir:x');
    assert.equal(found?.id, mutable.id);
    await found?.set('cache-dir', undefined);
    assert.deepEqual(await storage.accessor.search('cache-dir:x'), []);
    await found?.setRetain(false);
    await assert.rejects(storage.accessor.get(mutable.id), (error) => seen(error) === Code.NotFound);
  });

  contract('after a power loss only what was synced is believed', async (unused, root) => {
    await unused.close();
    let syncs = 0;
    const bootOf = (bootId: string): StorageKernel => ({
      ...kernel,
      bootId: () => bootId,
      syncFileSystem: async () => {
        if (++syncs > 1) throw new Error('the power is off');
      },
    });
    const db = openDatabase(join(root, 'buildkit.db'));
    const before = await openStorage({ root, snapshotter, db, kernel: bootOf('first'), syncEveryMs: 10 });
    const old = await layer(before, undefined, { a: '1' });
    while (syncs === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    await new Promise((resolve) => setTimeout(resolve, 5));
    const young = await layer(before, undefined, { b: '1' });
    // The daemon ends here without another word.
    await db.close();
    const after = await openAt(root, snapshotter);
    await assert.rejects(after.accessor.get(young.id), (error) => seen(error) === Code.NotFound);
    const ref = await after.accessor.get(old.id);
    assert.deepEqual(await filesOf(ref), ['a']);
    await ref.release();
    return after;
  });

  contract('what nobody retains goes with its last ref, and its files', async (storage, root) => {
    const ref = await layer(storage, undefined, { a: '1' }, false);
    const other = ref.fork();
    await ref.release();
    assert.deepEqual(await filesOf(other), ['a']);
    await other.release();
    await assert.rejects(storage.accessor.get(ref.id), (error) => seen(error) === Code.NotFound);
    await storage.drained();
    assert.deepEqual(
      readdirSync(join(root, 'snapshots', snapshotter)).filter((name) => name !== 'trash'),
      [],
    );
  });

  contract('a blob is fetched and unpacked once, when somebody looks', async (storage) => {
    const { descriptor, bytes } = layerBlob({ hello: 'world' });
    const provider = providerOf(bytes);
    const { accessor } = storage;
    await assert.rejects(accessor.fromBlob(descriptor, undefined, {}), /missing descriptor handlers for lazy blobs/);
    const ref = await accessor.fromBlob(descriptor, undefined, { provider, description: 'pulled from x' });
    const same = await accessor.fromBlob(descriptor, undefined, { provider });
    assert.equal(same.id, ref.id);
    assert.equal(ref.isLazy, true);
    const remote = await ref.remote(GZIP, { create: true }, {});
    assert.equal(remote?.descriptors[0]?.digest, descriptor.digest);
    assert.equal(provider.reads, 0);
    await Promise.all([ref.unlazy({}), same.unlazy({}), ref.unlazy({})]);
    assert.equal(provider.reads, 1);
    assert.deepEqual(await filesOf(ref), ['hello']);
    await same.release();
    await ref.release();
  });

  contract(
    'a layer that may not be pushed stays so where that is asked for; its time is its blob’s',
    async (storage) => {
      const { descriptor, bytes } = layerBlob({ foreign: 'world' });
      const foreign = {
        ...descriptor,
        mediaType: 'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip',
        urls: ['https://example.com/layer'],
        annotations: { ...descriptor.annotations, 'buildkit/createdat': '2001-02-03T04:05:06Z' },
      };
      const ref = await storage.accessor.fromBlob(foreign, undefined, { provider: providerOf(bytes) });
      const kept = await ref.remote(GZIP, { create: true, keepForeign: true }, {});
      assert.equal(kept?.descriptors[0]?.mediaType, foreign.mediaType);
      assert.deepEqual(kept?.descriptors[0]?.urls, foreign.urls);
      const plain = await ref.remote(GZIP, { create: true }, {});
      assert.equal(plain?.descriptors[0]?.mediaType, 'application/vnd.oci.image.layer.v1.tar+gzip');
      assert.equal(plain?.descriptors[0]?.urls, undefined);
      assert.equal(ref.metadata.createdAt, BigInt(Date.UTC(2001, 1, 3, 4, 5, 6)) * 1_000_000n);
      await ref.release();
    },
  );

  contract('where else a layer is decides whether it is a foreign one, whatever it is called', async (storage) => {
    const type = 'application/vnd.oci.image.layer.v1.tar+gzip';
    const foreignType = 'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip';
    const { descriptor, bytes } = layerBlob({ placed: 'elsewhere' });
    const provider = providerOf(bytes);
    const forms = async (ref: ImmutableRef): Promise<unknown[]> => {
      const found: unknown[] = [];
      for (const keepForeign of [true, false]) {
        const [layer] = (await ref.remote(GZIP, { create: true, keepForeign }, {}))?.descriptors ?? [];
        found.push([layer?.mediaType, layer?.urls]);
      }
      return found;
    };
    const nowhere = await storage.accessor.fromBlob({ ...descriptor, mediaType: foreignType }, undefined, { provider });
    assert.deepEqual(await forms(nowhere), [
      [type, undefined],
      [type, undefined],
    ]);
    // Another image tells of the place; a third that does not changes nothing.
    const urls = ['https://example.com/layer'];
    const placed = await storage.accessor.fromBlob({ ...descriptor, mediaType: type, urls }, undefined, { provider });
    const again = await storage.accessor.fromBlob(descriptor, undefined, { provider });
    for (const ref of [nowhere, placed, again]) {
      assert.deepEqual(await forms(ref), [
        [foreignType, urls],
        [type, undefined],
      ]);
      await ref.release();
    }
  });

  contract('a layer becomes a blob that unpacks to the same record', async (storage) => {
    const base = await layer(storage, undefined, { a: '1' });
    const top = await layer(storage, base, { b: '2' });
    assert.equal(await top.remote(GZIP, { create: false }, {}), undefined);
    const remote = await top.remote(GZIP, { create: true }, {});
    assert.equal(remote?.descriptors.length, 2);
    const zstd = await top.remote({ type: 'zstd', force: true }, { create: true }, {});
    assert.match(String(zstd?.descriptors[1]?.mediaType), /zstd$/);
    await assert.rejects(top.remote({ type: 'estargz', force: true }, { create: true }, {}), {
      message: /compression estargz is not supported/,
    });
    const [first, second] = remote?.descriptors ?? [];
    const found = await storage.accessor.fromBlob(first as Descriptor, undefined, {});
    const above = await storage.accessor.fromBlob(second as Descriptor, found, {});
    assert.deepEqual([found.id, above.id], [base.id, top.id]);
    assert.equal((await top.remotes(GZIP, {})).length, 2);
    for (const ref of [found, above, base, top]) await ref.release();
  });

  contract('merges and diffs', async (storage) => {
    const { accessor } = storage;
    const base = await layer(storage, undefined, { a: '1' });
    const middle = await layer(storage, base, { b: '2' });
    const top = await layer(storage, middle, { c: '3' });
    const other = await layer(storage, undefined, { d: '4' });
    const merged = await accessor.merge([base, other]);
    assert.deepEqual(await filesOf(merged as ImmutableRef), ['a', 'd']);
    const diff = await accessor.diff(base, top);
    assert.deepEqual(await filesOf(diff as ImmutableRef), ['b', 'c']);
    assert.equal(await accessor.diff(base, base), undefined);
    assert.equal(await accessor.merge([]), undefined);
    const alone = await accessor.merge([other]);
    assert.equal(alone?.id, other.id);
    for (const ref of [base, middle, top, other, merged, diff, alone]) await ref?.release();
  });

  contract('disk usage and prune', async (storage) => {
    const { accessor } = storage;
    const base = await layer(storage, undefined, { a: 'x'.repeat(100_000) });
    const top = await layer(storage, base, { b: '2' });
    await top.metadata.setRecordType('internal');
    await top.remote(GZIP, { create: true }, {});
    await base.release();
    const rows = await accessor.diskUsage({});
    assert.deepEqual(
      rows.map((row) => row.inUse),
      [true, true],
    );
    await top.release();
    const by = async (...filter: string[]): Promise<string[]> =>
      (await accessor.diskUsage({ filter })).map((row) => row.id);
    assert.deepEqual(await by(`id==${base.id}`), [base.id]);
    assert.deepEqual(await by('type==internal'), [top.id]);
    assert.deepEqual(await by('inuse'), []);
    assert.deepEqual((await by('description~="layer b"', `id==${base.id}`)).toSorted(), [base.id, top.id].toSorted());
    const [big] = await accessor.diskUsage({ filter: [`id==${base.id}`] });
    assert.ok((big?.size ?? 0) >= 100_000);
    const gone: string[] = [];
    await accessor.prune([{}], (row) => gone.push(row.id));
    assert.deepEqual([...gone], []); // the internal one stays, and holds the other
    await accessor.prune([{ all: true, keepDurationNs: 3_600_000_000_000n }], (row) => gone.push(row.id));
    assert.deepEqual([...gone], []);
    await accessor.prune([{ all: true }], (row) => gone.push(row.id));
    assert.deepEqual(gone, [top.id, base.id]);
    const blobs: string[] = [];
    for await (const blob of storage.content.list()) blobs.push(blob.digest);
    assert.deepEqual(blobs, []);
  });

  contract('records, blobs and images are there after a restart', async (storage, root) => {
    const { descriptor, bytes } = layerBlob({ hello: 'world' });
    const lazy = await storage.accessor.fromBlob(descriptor, undefined, { provider: providerOf(bytes) });
    const kept = await layer(storage, undefined, { a: '1' });
    await kept.metadata.set('key', 'value', 'found');
    const dropped = await layer(storage, undefined, { b: '1' }, false);
    storage.images.set('example.com/x', descriptor);
    await lazy.release();
    await kept.release();
    await storage.close();
    const again = await openAt(root, snapshotter, { reopenProvider: () => providerOf(bytes) });
    const [found] = await again.accessor.search('found');
    assert.equal(found?.id, kept.id);
    assert.equal(found?.get('key'), 'value');
    await assert.rejects(again.accessor.get(dropped.id), (error) => seen(error) === Code.NotFound);
    assert.equal(again.images.find('example.com/x')?.target.digest, descriptor.digest);
    const ref = await again.accessor.get(lazy.id);
    assert.deepEqual(await filesOf(ref), ['hello']);
    await ref.release();
    return again;
  });

  void test(
    `${snapshotter}: a killed writer loses nothing that it acknowledged`,
    { skip: !isRoot && 'needs root' },
    async (t) => {
      const root = mkdtempSync(join(tmpdir(), 'storage-'));
      t.after(() => {
        for (const point of kernel.mountPoints(root).toReversed()) execFileSync('umount', ['-l', point]);
        rmSync(root, { recursive: true, force: true });
      });
      let seed = 7;
      for (let round = snapshotter === 'native' ? 1 : 0; round < 2; round++) {
        seed = (seed * 1103515245 + 12345) % 2 ** 31;
        const child: ChildProcessByStdio<null, Readable, null> = spawn(
          process.execPath,
          [import.meta.filename, root, snapshotter],
          { env: { ...process.env, STORAGE_TEST_CHILD: '1' }, stdio: ['ignore', 'pipe', 'inherit'] },
        );
        let said = '';
        child.stdout.setEncoding('utf8').on('data', (text: string) => (said += text));
        while (said === '' && child.exitCode === null) await once(child.stdout, 'data');
        await new Promise((resolve) => setTimeout(resolve, seed % 300));
        child.kill('SIGKILL');
        await once(child, 'close');
        const acknowledged = said
          .split('\n')
          .slice(0, -1)
          .map((line) => line.split(' ') as [string, string]);
        assert.ok(acknowledged.length > 0);
        const storage = await openAt(root, snapshotter);
        for (const [number, id] of acknowledged) {
          const ref = await storage.accessor.get(id);
          assert.equal(ref.metadata.get('number'), number);
          assert.ok((await filesOf(ref)).includes(`file-${number}`));
          await ref.release();
        }
        assert.deepEqual(storage.leaks(), []);
        for (const row of await storage.accessor.diskUsage({})) assert.equal(row.inUse, false);
        await storage.close();
      }
    },
  );
}
