/** Copies that share files with their source, over real storage. */
import assert from 'node:assert/strict';
import {
  appendFileSync,
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { TestContext } from 'node:test';
import { noProgress } from '../../base/index.ts';
import { linuxKernel } from '../../host/index.ts';
import { FileOp } from '../../proto/ops.pb.ts';
import type { DeepPartial } from '../../proto/ops.pb.ts';
import type { JobContext, Vertex } from '../../solver/types.ts';
import { mountLocally, openStorage } from '../../storage/index.ts';
import type { ImmutableRef, Mountable, Storage } from '../../storage/index.ts';
import { RefResult } from '../ref-result.ts';
import { createFileOp } from './index.ts';

const asRoot = { skip: process.getuid?.() !== 0 && 'needs root' };
const top = mkdtempSync(join(tmpdir(), 'shared-files-'));
after(() => rmSync(top, { recursive: true, force: true }));

type Action = DeepPartial<FileOp['actions'][number]>;
const onlyAction = { input: 0n, secondaryInput: 1n, output: 0n };

function copy(src: string, dest: string, more: object = {}): Action {
  const value = { src, dest, mode: -1, timestamp: -1n, dirCopyContents: true, createDestPath: true, ...more };
  return { ...onlyAction, action: { $case: 'copy', value } };
}

class Bench {
  readonly storage: Storage;
  readonly #refs: ImmutableRef[] = [];

  constructor(storage: Storage) {
    this.storage = storage;
  }

  static async open(t: TestContext, snapshotter: 'overlayfs' | 'native'): Promise<Bench> {
    const storage = await openStorage({ root: mkdtempSync(join(top, 'root-')), snapshotter, kernel: linuxKernel });
    const bench = new Bench(storage);
    t.after(async () => {
      for (const ref of bench.#refs) await ref.release();
      assert.deepEqual(storage.leaks(), []);
      await storage.close();
    });
    return bench;
  }

  #keep(ref: ImmutableRef): ImmutableRef {
    this.#refs.push(ref);
    return ref;
  }

  async tree(parent: ImmutableRef | undefined, fill: (dir: string) => void): Promise<ImmutableRef> {
    const mutable = await this.storage.accessor.create(parent);
    await this.look(mutable, fill, false);
    return this.#keep(await mutable.commit());
  }

  async run(actions: Action[], inputs: readonly ImmutableRef[]): Promise<ImmutableRef> {
    const { accessor, hasher } = this.storage;
    const vertex = { name: 'copy', inputs: inputs.map(() => ({})) } as unknown as Vertex;
    const op = FileOp.decode(FileOp.encode(FileOp.fromPartial({ actions })).finish());
    const context = { signal: new AbortController().signal, progress: noProgress, sessions: () => [] };
    const results = await createFileOp(
      { accessor, hasher, workerId: 'w' },
      vertex,
      op,
      'linux',
      async () => () => {},
    ).exec(
      context as unknown as JobContext,
      inputs.map((ref) => new RefResult('w', ref)),
    );
    assert.equal(results.length, 1);
    return this.#keep(results[0]?.sys as ImmutableRef);
  }

  async look(what: Mountable, look: (dir: string) => void, readonly = true): Promise<void> {
    const mounted = await mountLocally(what, { readonly });
    try {
      look(mounted.dir);
    } finally {
      await mounted.release();
    }
  }

  /** Numbers of files with several names in the tree, by how many of them are in it. */
  async names(ref: ImmutableRef): Promise<number[]> {
    const counts = new Map<bigint, number>();
    const visit = (dir: string): void => {
      for (const entry of readdirSync(dir, { withFileTypes: true })) {
        const path = join(dir, entry.name);
        if (entry.isDirectory()) visit(path);
        else if (entry.isFile()) {
          const { ino } = lstatSync(path, { bigint: true });
          counts.set(ino, (counts.get(ino) ?? 0) + 1);
        }
      }
    };
    await this.look(ref, visit);
    return [...counts.values()].filter((count) => count > 1);
  }
}

/** One large and many small files, a link of the build's own, times in the past. */
function context(dir: string): void {
  mkdirSync(join(dir, 'sub/deep'), { recursive: true });
  for (let i = 0; i < 5; i++) writeFileSync(join(dir, `sub/deep/f${i}`), `file ${i}`);
  writeFileSync(join(dir, 'large'), Buffer.alloc(300_000, 'x'));
  writeFileSync(join(dir, 'one'), 'two names');
  linkSync(join(dir, 'one'), join(dir, 'sub/other'));
  for (const path of ['sub/deep/f0', 'sub/deep', 'sub', 'large', '.']) utimesSync(join(dir, path), 1000, 2000);
}

for (const snapshotter of ['overlayfs', 'native'] as const) {
  test(`${snapshotter}: a copy has its source's files and everything of them`, asRoot, async (t) => {
    const bench = await Bench.open(t, snapshotter);
    const source = await bench.tree(undefined, context);
    const base = await bench.tree(undefined, (dir) => writeFileSync(join(dir, 'base'), ''));
    const copied = await bench.run([copy('/', '/app')], [base, source]);
    await bench.look(copied, (dir) => {
      assert.deepEqual(readdirSync(dir).sort(), ['app', 'base']);
      assert.deepEqual(readdirSync(join(dir, 'app')).sort(), ['large', 'one', 'sub']);
      assert.equal(readFileSync(join(dir, 'app/sub/deep/f4'), 'utf8'), 'file 4');
      assert.equal(lstatSync(join(dir, 'app/large')).size, 300_000);
      for (const path of ['sub/deep/f0', 'sub/deep', 'sub', 'large']) {
        assert.equal(lstatSync(join(dir, 'app', path)).mtimeMs, 2_000_000, path);
      }
      assert.equal(lstatSync(join(dir, 'app/one')).ino, lstatSync(join(dir, 'app/sub/other')).ino);
      // gzip and xz leave files alone that have another name, wherever that is.
      for (const path of ['large', 'sub/deep/f0']) assert.equal(lstatSync(join(dir, 'app', path)).nlink, 1, path);
      assert.equal(lstatSync(join(dir, 'app/one')).nlink, 2, 'only the build makes names');
    });
    await bench.look(source, (dir) => assert.equal(lstatSync(join(dir, 'large')).nlink, 1));
  });

  test(`${snapshotter}: what a later step changes, the source does not see`, asRoot, async (t) => {
    const bench = await Bench.open(t, snapshotter);
    const source = await bench.tree(undefined, context);
    const base = await bench.tree(undefined, () => {});
    const copied = await bench.run([copy('/', '/app')], [base, source]);
    const changed = await bench.tree(copied, (dir) => {
      appendFileSync(join(dir, 'app/large'), 'more');
      chmodSync(join(dir, 'app/sub/deep/f0'), 0o600);
    });
    await bench.look(changed, (dir) => assert.equal(lstatSync(join(dir, 'app/large')).size, 300_004));
    for (const [ref, folder] of [
      [source, '.'],
      [copied, 'app'],
    ] as const) {
      await bench.look(ref, (dir) => {
        assert.equal(lstatSync(join(dir, folder, 'large')).size, 300_000);
        assert.equal(lstatSync(join(dir, folder, 'sub/deep/f0')).mode & 0o777, 0o644);
      });
    }
  });

  test(`${snapshotter}: copies in one chain do not become links of each other`, asRoot, async (t) => {
    const bench = await Bench.open(t, snapshotter);
    const source = await bench.tree(undefined, context);
    const base = await bench.tree(undefined, () => {});
    const first = await bench.run([copy('/', '/a')], [base, source]);
    // The link that the build has made itself is the only one, in each copy.
    assert.deepEqual(await bench.names(first), [2]);
    const second = await bench.run([copy('/', '/b')], [first, source]);
    assert.deepEqual(await bench.names(second), [2, 2]);
    const third = await bench.run([copy('/a/', '/c')], [second, first]);
    assert.deepEqual(await bench.names(third), [2, 2, 2]);
    const twice = [
      { ...copy('/', '/a'), output: -1n },
      { ...copy('/', '/b'), input: 2n, output: 0n },
    ];
    assert.deepEqual(await bench.names(await bench.run(twice, [base, source])), [2, 2]);
  });

  test(`${snapshotter}: merges of copies have files of their own`, asRoot, async (t) => {
    const bench = await Bench.open(t, snapshotter);
    const source = await bench.tree(undefined, (dir) => writeFileSync(join(dir, 'f'), 'x'));
    const scratch = await bench.tree(undefined, () => {});
    const copies: ImmutableRef[] = [];
    for (const to of ['/a', '/b']) copies.push(await bench.run([copy('/', to)], [scratch, source]));
    const merged = (await bench.storage.accessor.merge(copies)) as ImmutableRef;
    try {
      assert.deepEqual(await bench.names(merged), []);
    } finally {
      await merged.release();
    }
  });
}

test('what the copy is to have that its source has not', asRoot, async (t) => {
  const bench = await Bench.open(t, 'overlayfs');
  const source = await bench.tree(undefined, context);
  const base = await bench.tree(undefined, () => {});
  const chown = {
    owner: { user: { user: { $case: 'byID', value: 7 } }, group: { user: { $case: 'byID', value: 8 } } },
  };
  for (const more of [{ mode: 0o600 }, { modeStr: 'a+x' }, { timestamp: 5_000_000_000n }, chown]) {
    const copied = await bench.run([copy('/', '/app', more)], [base, source]);
    await bench.look(copied, (dir) => {
      const { mode, mtimeMs, uid, gid } = lstatSync(join(dir, 'app/large'));
      const expected = 'mode' in more ? 0o600 : 'modeStr' in more ? 0o755 : 0o644;
      assert.equal(mode & 0o777, expected);
      assert.equal(mtimeMs, 'timestamp' in more ? 5000 : 2_000_000);
      assert.deepEqual([uid, gid], 'owner' in more ? [7, 8] : [0, 0]);
      if ('timestamp' in more)
        for (const path of ['app', 'app/sub']) assert.equal(lstatSync(join(dir, path)).mtimeMs, 5000);
    });
  }
  await bench.look(source, (dir) => assert.equal(lstatSync(join(dir, 'large')).mode & 0o777, 0o644));
});

test('files take the place of others, and of deleted ones', asRoot, async (t) => {
  const bench = await Bench.open(t, 'overlayfs');
  const source = await bench.tree(undefined, (dir) => {
    for (const name of ['kept', 'gone', 'new']) writeFileSync(join(dir, name), 'source');
  });
  const base = await bench.tree(undefined, (dir) => {
    mkdirSync(join(dir, 'app'));
    for (const name of ['kept', 'gone', 'old']) writeFileSync(join(dir, 'app', name), 'base');
  });
  const without = await bench.tree(base, (dir) => rmSync(join(dir, 'app/gone')));
  const copied = await bench.run([copy('/', '/app')], [without, source]);
  await bench.look(copied, (dir) => {
    const texts = readdirSync(join(dir, 'app')).map((name) => [name, readFileSync(join(dir, 'app', name), 'utf8')]);
    assert.deepEqual(Object.fromEntries(texts), { kept: 'source', gone: 'source', new: 'source', old: 'base' });
  });
  // In one op: the file that is copied over was deleted by the action before.
  const actions: Action[] = [
    { ...onlyAction, secondaryInput: -1n, output: -1n, action: { $case: 'rm', value: { path: '/app/kept' } } },
    { ...copy('/kept', '/app/kept'), input: 2n, output: 0n },
  ];
  const replaced = await bench.run(actions, [base, source]);
  await bench.look(replaced, (dir) => {
    assert.equal(readFileSync(join(dir, 'app/kept'), 'utf8'), 'source');
    assert.deepEqual(readdirSync(join(dir, 'app')).sort(), ['gone', 'kept', 'old']);
  });
});

test('an archive that is unpacked over a copy does not reach the source', asRoot, async (t) => {
  const bench = await Bench.open(t, 'overlayfs');
  const source = await bench.tree(undefined, (dir) => writeFileSync(join(dir, 'f'), 'x'));
  const base = await bench.tree(undefined, () => {});
  const unpacking = { attemptUnpackDockerCompatibility: true };
  const actions = [
    { ...copy('/', '/app'), output: -1n },
    { ...copy('/f', '/app/', unpacking), input: 2n, output: 0n },
  ];
  const copied = await bench.run(actions, [base, source]);
  await bench.look(source, (dir) => assert.equal(lstatSync(join(dir, 'f')).nlink, 1));
  await bench.look(copied, (dir) => assert.ok(existsSync(join(dir, 'app/f'))));
});
