/** Files of Windows by names without case: what is copied, made and removed, and what of it counts for the cache. */
import assert from 'node:assert/strict';
import {
  lchownSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { TestContext } from 'node:test';
import { encodeKeptRecords, KEPT_RECORDS, NOTHING_KEPT } from '../../archive/windows/index.ts';
import { noProgress } from '../../base/index.ts';
import type { BuildError } from '../../base/index.ts';
import { getXattr, linuxKernel, setXattr } from '../../host/index.ts';
import { FileOp } from '../../proto/ops.pb.ts';
import type { DeepPartial } from '../../proto/ops.pb.ts';
import { Remains } from '../../solver/index.ts';
import type { JobContext, Vertex } from '../../solver/types.ts';
import { mountLocally, openStorage } from '../../storage/index.ts';
import type { ImmutableRef, Mountable, Storage } from '../../storage/index.ts';
import { RefResult } from '../ref-result.ts';
import { createFileOp } from './index.ts';

type Action = DeepPartial<FileOp['actions'][number]>;

const asRoot = { skip: process.getuid?.() !== 0 && 'needs root' };
const top = mkdtempSync(join(tmpdir(), 'windows-names-'));
after(() => rmSync(top, { recursive: true, force: true }));
const RECORDS = encodeKeptRecords({ ...NOTHING_KEPT, attributes: 0x26 }) as Buffer;

class Bench {
  readonly storage: Storage;
  readonly #refs: ImmutableRef[] = [];

  private constructor(storage: Storage) {
    this.storage = storage;
  }

  static async open(t: TestContext): Promise<Bench> {
    const storage = await openStorage({
      root: mkdtempSync(join(top, 'root-')),
      snapshotter: 'auto',
      kernel: linuxKernel,
    });
    const bench = new Bench(storage);
    t.after(async () => {
      for (const ref of bench.#refs) await ref.release();
      assert.deepEqual(storage.leaks(), []);
      await storage.close();
    });
    return bench;
  }

  async tree(system: 'linux' | 'windows', fill: (dir: string) => void): Promise<ImmutableRef> {
    const mutable = await this.storage.accessor.create(undefined, { system });
    await this.look(mutable, fill, false);
    const ref = await mutable.commit();
    this.#refs.push(ref);
    return ref;
  }

  async run(actions: Action[], inputs: readonly ImmutableRef[]): Promise<ImmutableRef> {
    const { accessor, hasher } = this.storage;
    const vertex = { name: 'step', inputs: inputs.map(() => ({})) } as unknown as Vertex;
    const op = FileOp.decode(FileOp.encode(FileOp.fromPartial({ actions })).finish());
    const context = { signal: new AbortController().signal, progress: noProgress, sessions: () => [] };
    const created = createFileOp({ accessor, hasher, workerId: 'w' }, vertex, op, 'linux', async () => () => {});
    const given = inputs.map((ref) => new RefResult('w', ref));
    const results = await created.exec(context as unknown as JobContext, given).catch(async (error: BuildError) => {
      if (error.attachment instanceof Remains) await error.attachment.release();
      throw error;
    });
    const ref = results[0]?.sys as ImmutableRef;
    this.#refs.push(ref);
    return ref;
  }

  async look(what: Mountable, look: (dir: string) => void, readonly = true): Promise<void> {
    const mounted = await mountLocally(what, { readonly });
    try {
      look(mounted.dir);
    } finally {
      await mounted.release();
    }
  }
}

function windows(dir: string): void {
  mkdirSync(join(dir, 'Program Files/App'), { recursive: true });
  writeFileSync(join(dir, 'Program Files/App/Read.Me'), 'old');
  writeFileSync(join(dir, 'Program Files/App/Gone.txt'), '');
  symlinkSync('/PROGRAM FILES', join(dir, 'Progs'));
  setXattr(join(dir, 'Program Files/App/Read.Me'), KEPT_RECORDS[0], RECORDS);
}

const copy = (src: string, dest: string): Action => ({
  input: 0n,
  secondaryInput: 1n,
  output: 0n,
  action: {
    $case: 'copy',
    value: {
      src,
      dest,
      mode: -1,
      timestamp: -1n,
      createDestPath: true,
      followSymlink: true,
      dirCopyContents: true,
      allowWildcard: true,
    },
  },
});

test('a copy goes to the names that are there, through links too', asRoot, async (t) => {
  const bench = await Bench.open(t);
  const base = await bench.tree('windows', windows);
  const context = await bench.tree('linux', (dir) => {
    mkdirSync(join(dir, 'app/new'), { recursive: true });
    writeFileSync(join(dir, 'app/read.me'), 'new');
    writeFileSync(join(dir, 'app/new/X'), '');
    setXattr(join(dir, 'app/read.me'), KEPT_RECORDS[0], Buffer.from('nonsense'));
  });
  const made = await bench.run([copy('/app', '/progs/APP')], [base, context]);
  assert.equal(made.system, 'windows');
  await bench.look(made, (dir) => {
    assert.deepEqual(readdirSync(dir).sort(), ['Program Files', 'Progs']);
    const app = join(dir, 'Program Files/App');
    assert.deepEqual(readdirSync(app).sort(), ['Gone.txt', 'Read.Me', 'new']);
    assert.equal(readFileSync(join(app, 'Read.Me'), 'utf8'), 'new');
    assert.equal(getXattr(join(app, 'Read.Me'), KEPT_RECORDS[0]), undefined, 'a tree of Linux says nothing of Windows');
  });
  const again = await bench.run([copy('/program files/app/READ.ME', '/Copy/')], [base, base]);
  await bench.look(again, (dir) => {
    // As it was asked for, with what is said of it.
    assert.deepEqual(readdirSync(join(dir, 'Copy')), ['READ.ME']);
    assert.deepEqual(getXattr(join(dir, 'Copy/READ.ME'), KEPT_RECORDS[0]), RECORDS);
  });
});

test('files, folders and removals find names of another case', asRoot, async (t) => {
  const bench = await Bench.open(t);
  const base = await bench.tree('windows', windows);
  const one = (action: Action['action']): Action => ({ input: 0n, secondaryInput: -1n, output: 0n, action });
  const folder = await bench.run(
    [
      one({
        $case: 'mkdir',
        value: { path: '/program FILES/app/Sub', mode: 0o755, makeParents: true, timestamp: -1n },
      }),
    ],
    [base],
  );
  await bench.look(folder, (dir) => assert.ok(readdirSync(join(dir, 'Program Files/App')).includes('Sub')));
  const file = await bench.run(
    [
      one({
        $case: 'mkfile',
        value: { path: '/PROGS/App/read.me', mode: 0o644, data: Buffer.from('made'), timestamp: -1n },
      }),
    ],
    [base],
  );
  await bench.look(file, (dir) => assert.equal(readFileSync(join(dir, 'Program Files/App/Read.Me'), 'utf8'), 'made'));
  const removed = await bench.run([one({ $case: 'rm', value: { path: '/program files/app/GONE.TXT' } })], [base]);
  await bench.look(removed, (dir) => assert.deepEqual(readdirSync(join(dir, 'Program Files/App')), ['Read.Me']));
});

test('two files that are one to Windows are not both copied to it; Linux takes them', asRoot, async (t) => {
  const bench = await Bench.open(t);
  const base = await bench.tree('windows', () => {});
  const linux = await bench.tree('linux', () => {});
  const context = await bench.tree('linux', (dir) => {
    mkdirSync(join(dir, 'd'));
    for (const name of ['README', 'readme']) writeFileSync(join(dir, 'd', name), name);
  });
  await assert.rejects(bench.run([copy('/d', '/x')], [base, context]), {
    code: 3,
    message: /cannot copy both .*README.* and .*readme.*: Windows takes them for one/,
  });
  const made = await bench.run([copy('/d', '/x')], [linux, context]);
  await bench.look(made, (dir) => assert.deepEqual(readdirSync(join(dir, 'x')).sort(), ['README', 'readme']));
});

test('accounts of Windows own files of Windows alone', asRoot, async (t) => {
  const bench = await Bench.open(t);
  const tree = (system: 'linux' | 'windows'): Promise<ImmutableRef> =>
    bench.tree(system, (dir) => {
      mkdirSync(join(dir, 'd'));
      for (const [name, id] of Object.entries({ user: 59_322, other: 1000 })) {
        writeFileSync(join(dir, 'd', name), name);
        lchownSync(join(dir, 'd', name), id, id);
      }
    });
  const trees = { linux: await tree('linux'), windows: await tree('windows') };
  for (const from of ['linux', 'windows'] as const) {
    for (const to of ['linux', 'windows'] as const) {
      const made = await bench.run([copy('/d', '/x')], [trees[to], trees[from]]);
      await bench.look(made, (dir) => {
        const ids = ['x/user', 'x/other'].map((path) => lstatSync(join(dir, path)).uid);
        assert.deepEqual(ids, [from === to ? 59_322 : 0, 1000], `${from} to ${to}`);
      });
    }
  }
});

test('digests of a Windows tree: names without case, owners and records count', asRoot, async (t) => {
  const bench = await Bench.open(t);
  const digest = async (fill: (dir: string) => void, path: string): Promise<string> =>
    await bench.storage.hasher.checksum(await bench.tree('windows', fill), path, { followLinks: true }, {});
  const plain = await digest(windows, '/Program Files/App/Read.Me');
  assert.equal(await digest(windows, '/progs/APP/read.me'), plain);
  const other = (change: (path: string) => void) => (dir: string) => {
    windows(dir);
    change(join(dir, 'Program Files/App/Read.Me'));
  };
  const said = encodeKeptRecords({ ...NOTHING_KEPT, attributes: 0x21 }) as Buffer;
  assert.notEqual(
    await digest(
      other((path) => setXattr(path, KEPT_RECORDS[0], said)),
      '/progs/app/read.me',
    ),
    plain,
  );
  assert.notEqual(
    await digest(
      other((path) => lchownSync(path, 59_322, 59_322)),
      '/progs/app/read.me',
    ),
    plain,
  );
  const tree = await bench.tree('linux', windows);
  await assert.rejects(bench.storage.hasher.checksum(tree, '/program files', {}, {}), /not found/);
});
