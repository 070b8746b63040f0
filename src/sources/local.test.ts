import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { BuildError, Code, noProgress, notFound } from '../base/index.ts';
import type { StatusUpdate } from '../base/index.ts';
import { sendTree } from '../files/index.ts';
import type { SessionCaller, SessionManager } from '../session/types.ts';
import type { JobContext } from '../solver/types.ts';
import type { TreeHasher } from '../storage/contenthash/types.ts';
import { offerMounts } from '../storage/local-mount.ts';
import type { CacheAccessor, MutableRef } from '../storage/types.ts';
import { createLocalSource } from './local.ts';

const top = mkdtempSync(join(tmpdir(), 'local-source-'));
after(() => rmSync(top, { recursive: true, force: true }));
const takeBack = offerMounts({
  directory: async (set: { mounts: Array<{ source: string }> }) => ({
    dir: set.mounts[0]?.source,
    release: async () => {},
  }),
} as never);
after(takeBack);

/** What a storage does with local sources: folders that are locked while somebody holds them. */
class FakeStorage {
  readonly records = new Map<
    string,
    { dir: string; indexes: Set<string>; notes: Map<string, string>; locked: boolean }
  >();
  readonly steps: string[] = [];

  #ref(id: string): MutableRef {
    const record = this.records.get(id);
    if (record === undefined) throw notFound(id);
    if (record.locked) throw new BuildError(Code.FailedPrecondition, 'locked');
    record.locked = true;
    const ref = {
      id,
      mounts: async () => ({ mounts: [{ type: 'bind', source: record.dir, options: [] }], release: async () => {} }),
      metadata: {
        get: (key: string) => record.notes.get(key),
        set: async (key: string, value: string, index: string) => {
          record.notes.set(key, value);
          record.indexes.add(index);
        },
        setRetain: async () => void this.records.delete(id),
      },
      commit: async () => ({ id, dir: record.dir, release: async () => void (record.locked = false) }),
      release: async () => void (record.locked = false),
    };
    return ref as unknown as MutableRef;
  }

  readonly accessor = {
    create: async () => {
      const id = `m${this.records.size}-${this.steps.length}`;
      const dir = mkdtempSync(join(top, 'snapshot-'));
      this.records.set(id, { dir, indexes: new Set(), notes: new Map(), locked: false });
      return this.#ref(id);
    },
    getMutable: async (id: string) => this.#ref(id),
    search: async (index: string) => [...this.records].filter(([, r]) => r.indexes.has(index)).map(([id]) => ({ id })),
  } as unknown as CacheAccessor;

  readonly hasher = {
    beginChanges: async () => {
      this.steps.push('begin');
      return join(top, 'marker');
    },
    applyChanges: async (_id: string, changes: readonly unknown[]) => void this.steps.push(`apply ${changes.length}`),
    commitChanges: async () => void this.steps.push('commit'),
    drop: async () => void this.steps.push('drop'),
  } as unknown as TreeHasher;
}

/** A client that serves `dir` as `context`. */
function client(dir: string, supported = true): SessionCaller {
  const stream = (_service: unknown, _method: unknown, options: { metadata: Array<[string, string]> }) => {
    const values = (key: string) => options.metadata.filter(([k]) => k === key).map(([, v]) => v);
    const toServer: Uint8Array[][] = [];
    const toClient: Uint8Array[][] = [];
    let wake: Array<() => void> = [];
    const changed = (): void => {
      for (const w of wake.splice(0)) w();
    };
    let ended = false;
    let failure: Error | undefined;
    const take = async (from: Uint8Array[][]): Promise<Uint8Array[] | undefined> => {
      while (from.length === 0) {
        if (failure !== undefined) throw failure;
        if (ended) return undefined;
        await new Promise<void>((resolve) => wake.push(resolve));
      }
      return from.shift();
    };
    const put = (to: Uint8Array[][]) => async (packets: readonly Uint8Array[]) => {
      to.push([...packets]);
      changed();
    };
    const served = async (): Promise<void> => {
      if (values('dir-name')[0] !== 'context') throw notFound(`no access allowed to dir "${values('dir-name')[0]}"`);
      const excludePatterns = values('exclude-patterns');
      await sendTree(
        dir,
        { readBatch: () => take(toServer), writeBatch: put(toClient) },
        { excludePatterns, resetOwner: true },
      );
    };
    void served()
      .catch((error: Error) => (failure = error))
      .finally(() => {
        ended = true;
        changed();
      });
    return { readBatch: () => take(toClient), writeBatch: put(toServer), end: () => {}, cancel: () => {} };
  };
  const caller = {
    id: 's1',
    name: '',
    sharedKey: 'key',
    supports: () => supported,
    signal: new AbortController().signal,
    channel: { stream },
  };
  return caller as unknown as SessionCaller;
}

function setUp(caller: SessionCaller, attrs: Record<string, string> = {}, ref = 'context') {
  const storage = new FakeStorage();
  const sessions = {
    get: async () => caller,
    any: async (_group: unknown, _signal: unknown, call: (c: SessionCaller) => Promise<unknown>) => call(caller),
  } as unknown as SessionManager;
  const updates: StatusUpdate[] = [];
  const context = {
    signal: new AbortController().signal,
    progress: { ...noProgress, status: (u: StatusUpdate) => void updates.push(u) },
    sessions: () => ['s1'],
  } as unknown as JobContext;
  const source = createLocalSource({ sessions, accessor: storage.accessor, hasher: storage.hasher });
  const open = () =>
    source.resolve({
      scheme: 'local',
      ref,
      attrs: new Map(Object.entries(attrs)),
      platform: { os: 'linux', architecture: 'amd64' },
    });
  const pull = async () =>
    (await open().snapshot(context)) as unknown as { id: string; dir: string; release(): Promise<void> };
  return { storage, open, pull, context, updates };
}

function clientFolder(): string {
  const dir = mkdtempSync(join(top, 'client-'));
  mkdirSync(join(dir, 'sub'));
  writeFileSync(join(dir, 'sub/f'), 'one');
  writeFileSync(join(dir, 'skipped'), 'no');
  return dir;
}

test('a directory is received, kept, and only its changes come again', async () => {
  const dir = clientFolder();
  const { storage, pull, updates } = setUp(client(dir), {
    'local.excludepatterns': '["skipped"]',
    'local.sharedkeyhint': 'hint',
  });
  const first = await pull();
  assert.equal(readFileSync(join(first.dir, 'sub/f'), 'utf8'), 'one');
  assert.equal(existsSync(join(first.dir, 'skipped')), false);
  assert.deepEqual([...(storage.records.get(first.id)?.indexes ?? [])], ['local.sharedKey:context:hint:key']);
  assert.equal(storage.steps[0], 'begin');
  assert.equal(storage.steps.at(-1), 'commit');
  assert.equal(updates[0]?.id, 'transferring context:');
  assert.equal(updates[0]?.name, 'transferring');
  assert.notEqual(updates.at(-1)?.completed, undefined);
  await first.release();
  writeFileSync(join(dir, 'sub/f'), 'changed');
  storage.steps.length = 0;
  const second = await pull();
  assert.equal(second.id, first.id);
  assert.equal(readFileSync(join(second.dir, 'sub/f'), 'utf8'), 'changed');
  assert.deepEqual(storage.steps, ['begin', 'apply 1', 'commit']);
  // While that is in use another build gets its own.
  const third = await pull();
  assert.notEqual(third.id, second.id);
  assert.equal(readFileSync(join(third.dir, 'sub/f'), 'utf8'), 'changed');
});

test('a failed transfer is neither kept nor trusted', async () => {
  const { storage, pull } = setUp(client(clientFolder()), {}, 'other');
  await assert.rejects(pull(), /no access allowed to dir "other"/);
  assert.deepEqual(storage.steps, ['begin', 'drop']);
  assert.equal(storage.records.size, 0);
});

test('a client without local sources', async () => {
  await assert.rejects(setUp(client(clientFolder(), false)).pull(), /no local sources enabled/);
});

test('the cache key is of this session and these patterns', async () => {
  const attrs = {
    'local.session': 's9',
    'local.includepattern': '["a<b"]',
    'local.followpaths': '[]',
    'local.unique': 'x',
  };
  const { open, context } = setUp(client(clientFolder()), attrs);
  const json = '{"SessionID":"s9","IncludePatterns":["a\\u003cb"],"ExcludePatterns":null,"FollowPaths":[]}';
  const digest = createHash('sha256').update(json).digest('hex');
  assert.equal((await open().cacheKey(context, 0)).key, `session:context:sha256:${digest}`);
  assert.throws(() => setUp(client('/'), { 'local.includepattern': '{}' }).open(), /local\.includepattern/);
  assert.throws(
    () => setUp(client('/'), { 'local.metadatatransfer': 'maybe' }).open(),
    /invalid value for local\.metadatatransfer "maybe"/,
  );
});
