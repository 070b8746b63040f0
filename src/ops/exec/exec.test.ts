import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { BuildError, Code, jsonDetail, notFound } from '../../base/index.ts';
import type { Executor, ExecMount, ProcessMeta } from '../../executor/types.ts';
import type { Digest, Platform } from '../../oci/types.ts';
import { ExecOp } from '../../proto/ops.pb.ts';
import type { DeepPartial } from '../../proto/ops.pb.ts';
import type { SessionManager } from '../../session/types.ts';
import { Remains } from '../../solver/index.ts';
import type { JobContext, Vertex } from '../../solver/types.ts';
import type { CacheAccessor, ContentHasher, CreateOptions, ImmutableRef, MutableRef } from '../../storage/types.ts';
import { sha256 } from '../op-digest.ts';
import { stepSpanId } from '../../trace/index.ts';
import { RefResult } from '../ref-result.ts';
import { CacheMounts } from './cache-mounts.ts';
import { findEmulator } from './emulator.ts';
import { createExecOp } from './index.ts';

/** Refs by name, counted by their owners; a tree written on `x` is `x+`. */
class FakeStore {
  readonly descriptions: string[] = [];
  readonly records = new Map<string, { index?: string; note?: string | undefined; isHeld: boolean; retain: boolean }>();
  failCommitOf: string | undefined;
  readonly #held = new Map<object, string>();
  #caches = 0;

  held(): string[] {
    return [...this.#held.values()];
  }

  #owner(id: string): { release(): Promise<void> } {
    const owner = {
      release: async () => {
        assert.ok(this.#held.delete(owner), `${id} has an owner`);
        const record = this.records.get(id);
        if (record !== undefined) record.isHeld = false;
      },
    };
    this.#held.set(owner, id);
    return owner;
  }

  fixed(id: string): ImmutableRef {
    const { release } = this.#owner(id);
    return { id, release, fork: () => this.fixed(id), unlazy: async () => {} } as unknown as ImmutableRef;
  }

  #mutable(id: string): MutableRef {
    const { release } = this.#owner(id);
    const record = this.records.get(id);
    const metadata = {
      get: () => record?.note,
      set: async (_key: string, value: string | undefined, index?: string) => {
        if (record !== undefined) Object.assign(record, { note: value, index });
      },
    };
    const commit = async (): Promise<ImmutableRef> => {
      if (id === this.failCommitOf) throw new Error('no space');
      await release();
      return this.fixed(id);
    };
    return { id, release, commit, metadata } as unknown as MutableRef;
  }

  readonly accessor = {
    create: async (parent: ImmutableRef | undefined, options: CreateOptions = {}) => {
      this.descriptions.push(options.description ?? '');
      if (options.recordType !== 'exec.cachemount') return this.#mutable(`${parent?.id ?? 'scratch'}+`);
      const id = `cache${this.#caches++}`;
      this.records.set(id, { isHeld: true, retain: options.retain === true });
      return this.#mutable(id);
    },
    search: async (index: string) =>
      [...this.records].filter(([, record]) => record.index === index).map(([id]) => ({ id })),
    getMutable: async (id: string) => {
      const record = this.records.get(id);
      if (record?.isHeld !== false) throw new BuildError(Code.FailedPrecondition, 'locked');
      record.isHeld = true;
      return this.#mutable(id);
    },
  } as unknown as CacheAccessor;
}

const platform = { os: 'linux', architecture: 'amd64' };
const hasher: ContentHasher = {
  compare: async () => undefined,
  checksum: async (ref, path, selector) => `sha256:${ref?.id}:${path}:${selector.followLinks === true}` as Digest,
};
const root = { input: 0n, output: 0n, dest: '/' };

interface Seen {
  root: ExecMount;
  mounts: readonly ExecMount[];
  meta: ProcessMeta;
}

interface Setup {
  readonly store?: FakeStore;
  readonly inputs?: number;
  readonly run?: (io: { stdout: NodeJS.WritableStream; stderr: NodeJS.WritableStream }) => Promise<void>;
  readonly secrets?: Record<string, string>;
  readonly resources?: unknown;
  /** Ids of the traces of the builds that share the step. */
  readonly traces?: readonly string[];
  readonly platform?: Platform;
}

function setUp(op: DeepPartial<ExecOp>, setup: Setup = {}) {
  const store = setup.store ?? new FakeStore();
  const seen: Seen[] = [];
  const logs: string[] = [];
  const executor = {
    run: async (_id: unknown, rootMount: ExecMount, mounts: readonly ExecMount[], meta: ProcessMeta, io: never) => {
      seen.push({ root: rootMount, mounts, meta });
      await setup.run?.(io);
    },
  } as unknown as Executor;
  const unary = async (_service: unknown, _method: unknown, { ID }: { ID: string }) => {
    const value = setup.secrets?.[ID];
    if (value === undefined) throw notFound(`no ${ID}`);
    return { data: Buffer.from(value) };
  };
  const sessions: SessionManager = {
    get: async () => assert.fail('not asked for'),
    any: async (_group, _signal, call) => call({ channel: { unary } } as never),
  };
  const context = {
    signal: new AbortController().signal,
    progress: { status() {}, warn() {}, log: (stream: number, data: Uint8Array) => logs.push(`${stream}:${data}`) },
    sessions: () => ['s'],
    values: () => setup.traces ?? [],
  } as unknown as JobContext;
  const inputs = Array.from({ length: setup.inputs ?? 1 }, (_, i) => new RefResult('w', store.fixed(`in${i}`)));
  const message = ExecOp.decode(ExecOp.encode(ExecOp.fromPartial(op)).finish());
  const options = setup.resources === undefined ? {} : { metadata: { value: setup.resources } };
  const vertex = { digest: 'sha256:v', name: 'v', inputs: inputs.map(() => ({})), options } as unknown as Vertex;
  const deps = {
    accessor: store.accessor,
    executor,
    hasher,
    sessions,
    workerId: 'w',
    platforms: () => [platform],
    judgeRequest: () => async () => undefined,
  };
  const made = createExecOp(deps, vertex, message, setup.platform ?? platform, async () => () => {});
  const releaseInputs = async (): Promise<void> => {
    for (const input of inputs) await input.release();
  };
  return { op: made, store, seen, logs, context, inputs, releaseInputs };
}

async function run(op: DeepPartial<ExecOp>, setup?: Setup) {
  const all = setUp(op, setup);
  try {
    const results = await all.op.exec(all.context, all.inputs);
    const ids = results.map((r) => r.id);
    for (const result of results) await result.release();
    return { ...all, ids, step: all.seen[0] as Seen };
  } catch (error) {
    if (error instanceof BuildError && error.attachment instanceof Remains) await error.attachment.release();
    throw error;
  } finally {
    await all.releaseInputs();
    assert.deepEqual(all.store.held(), [], 'everything has been released');
  }
}

async function mapOf(op: DeepPartial<ExecOp>, inputs = 1) {
  const all = setUp(op, { inputs });
  const { map } = await all.op.cacheMap(all.context, 0);
  await all.releaseInputs();
  return map;
}

void test('the key of a plain RUN leaves its mount, its proxies and addresses out', async () => {
  const { digest } = await mapOf({
    meta: {
      args: ['/bin/sh', '-c', 'a && b > c'],
      env: ['A=b'],
      cwd: '/w',
      proxyEnv: { httpProxy: 'http://p' },
      extraHosts: [{ Host: 'h', IP: '1.2.3.4' }],
      ulimit: [{ Name: 'nofile', Soft: 1n, Hard: 2n }],
      validExitCodes: [0, 3],
    },
    mounts: [root],
    network: 2,
  });
  const meta =
    '{"args":["/bin/sh","-c","a \\u0026\\u0026 b \\u003e c"],"env":["A=b"],"cwd":"/w","extraHosts":[{"Host":"h"}],' +
    '"ulimit":[{"Name":"nofile","Soft":1,"Hard":2}],"validExitCodes":[0,3]}';
  const exec = `{"meta":${meta},"network":2}`;
  assert.equal(digest, sha256(`{"Type":"buildkit.exec.v0","Exec":${exec},"OS":"linux","Arch":"amd64"}`));
});

void test('the key of a RUN with mounts', async () => {
  const { digest } = await mapOf(
    {
      meta: { args: ['a'] },
      mounts: [
        root,
        { input: 1n, output: -1n, dest: '/b', selector: 'x', readonly: true },
        { input: -1n, output: -1n, dest: '/c', mountType: 3, cacheOpt: { ID: '/c' } },
        { input: -1n, output: -1n, dest: '/d', mountType: 3, cacheOpt: { ID: 'ns//d' } },
        { input: -1n, output: -1n, dest: '/e', mountType: 3, cacheOpt: { ID: 'mine', sharing: 2 } },
        {
          input: -1n,
          output: -1n,
          dest: '/f',
          mountType: 1,
          secretOpt: { ID: 's', uid: 7, mode: 256, optional: true },
        },
        { input: -1n, output: -1n, dest: '/g', mountType: 4, TmpfsOpt: { size: 9n } },
      ],
      secretenv: [{ ID: 's', name: 'S' }],
    },
    2,
  );
  const mounts =
    '[{"dest":"/"},{"input":1,"dest":"/b","output":-1,"readonly":true},' +
    '{"input":-1,"dest":"/c","output":-1,"mountType":3,"cacheOpt":{"ID":"/c"}},' +
    '{"input":-1,"dest":"/d","output":-1,"mountType":3,"cacheOpt":{"ID":"ns//d"}},' +
    '{"input":-1,"dest":"/e","output":-1,"mountType":3,"cacheOpt":{}},' +
    '{"input":-1,"dest":"/f","output":-1,"mountType":1,"secretOpt":{"ID":"s","uid":7,"mode":256,"optional":true}},' +
    '{"input":-1,"dest":"/g","output":-1,"mountType":4,"TmpfsOpt":{"size":9}}]';
  const exec = `{"meta":{"args":["a"]},"mounts":${mounts},"secretenv":[{"ID":"s","name":"S"}]}`;
  assert.equal(digest, sha256(`{"Type":"buildkit.exec.v0","Exec":${exec},"OS":"linux","Arch":"amd64"}`));
});

void test('inputs count by content where they cannot be passed on', async () => {
  const mounts: DeepPartial<ExecOp['mounts']> = [
    root,
    { input: 1n, output: -1n, dest: '/b', selector: '/x/' },
    { input: 1n, output: -1n, dest: '/c', selector: 'x/y', readonly: true },
    { input: 2n, output: 1n, dest: '/d', selector: 'x' },
    { input: 3n, output: -1n, dest: '/e', contentCache: 2 },
    { input: 4n, output: -1n, dest: '/f' },
  ];
  const { deps } = await mapOf({ meta: { args: ['a'] }, mounts }, 5);
  assert.deepEqual(
    deps.map((d) => d.computeDigest !== undefined),
    [false, true, false, false, true],
  );
  assert.equal(deps[0]?.selector, sha256('/'));
  assert.equal(deps[1]?.selector, sha256('/x\0/x/y'));
  const result = { sys: { id: 'r' } } as never;
  assert.equal(await deps[1]?.computeDigest?.(result, {} as never), sha256('sha256:r:/x:true'));
  assert.equal(await deps[4]?.computeDigest?.(result, {} as never), sha256('sha256:r:/:false'));
  const unsafe = { input: 0n, output: 1n, dest: '/d', selector: 'x', contentCache: 1 };
  await assert.rejects(mapOf({ meta: { args: ['a'] }, mounts: [root, unsafe] }), /invalid mount cache content/);
  await assert.rejects(mapOf({ meta: { args: ['a'] }, mounts: [{ ...root, input: 7n }] }), /invalid mountinput/);
});

void test('what is mounted how, and what comes out', async () => {
  const { ids, step, store } = await run(
    {
      meta: { args: ['a', 'b'], cwd: '/w' },
      mounts: [
        { input: -1n, output: -1n, dest: '/z', mountType: 4, TmpfsOpt: { size: 9n } },
        root,
        { input: 1n, output: 1n, dest: '/ro', readonly: true, selector: 'x' },
        { input: 1n, output: -1n, dest: 'rel' },
        { input: -1n, output: 2n, dest: '/out' },
      ],
    },
    { inputs: 2 },
  );
  assert.deepEqual(ids, ['w::in0+', 'w::in1', 'w::scratch+']);
  assert.equal((step.root.source as { id?: string }).id, 'in0+');
  assert.deepEqual(
    step.mounts.map((m) => [m.dest, m.selector, m.readonly, (m.source as { id?: string }).id]),
    [
      ['/out', '', false, 'scratch+'],
      ['/ro', 'x', true, 'in1'],
      ['/w/rel', '', false, 'in1+'],
      ['/z', '', false, undefined],
    ],
  );
  const tmpfs = await step.mounts[3]?.source.mounts({ readonly: false });
  assert.deepEqual(tmpfs?.mounts, [{ type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'nodev', 'size=9'] }]);
  assert.deepEqual(store.descriptions, [
    'mount / from exec a b',
    'mount rel from exec a b',
    'mount /out from exec a b',
  ]);
});

void test('a root that is read and not kept is a tree of its own', async () => {
  const { ids, step } = await run({
    meta: { args: ['a'] },
    mounts: [{ input: 0n, output: -1n, dest: '/', readonly: true }],
  });
  assert.deepEqual(ids, []);
  assert.equal((step.root.source as { id?: string }).id, 'in0+');
  assert.equal(step.meta.readonlyRootfs, true);
});

void test('environment, network, limits', async () => {
  const { step } = await run(
    {
      meta: {
        args: ['a'],
        env: ['A=b'],
        proxyEnv: { httpProxy: 'p', noProxy: 'n' },
        extraHosts: [{ Host: 'h', IP: '::1' }],
        ulimit: [{ Name: 'nofile', Soft: 5n, Hard: -1n }],
        validExitCodes: [3],
      },
      mounts: [root],
      network: 1,
      security: 1,
      secretenv: [
        { ID: 's', name: 'S' },
        { ID: 'none', name: 'N', optional: true },
      ],
    },
    { secrets: { s: 'x' }, resources: { memory: 5n, memorySwap: -1n, cpuShares: 0n, cpusetCpus: '0', cpusetMems: '' } },
  );
  const { meta } = step;
  const path = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
  const proxies = ['HTTP_PROXY=p', 'http_proxy=p', 'NO_PROXY=n', 'no_proxy=n'];
  assert.deepEqual(meta.env, ['A=b', ...proxies, path, 'S=x', 'N=']);
  assert.deepEqual([meta.network, meta.security], ['host', 'insecure']);
  assert.deepEqual(meta.extraHosts, [{ host: 'h', ip: '::1' }]);
  assert.deepEqual(meta.ulimits, [{ name: 'nofile', soft: 5, hard: -1 }]);
  assert.deepEqual(meta.validExitCodes, [3]);
  assert.deepEqual(meta.resources, { memory: 5, memorySwap: -1, cpusetCpus: '0' });
});

void test('a failing process keeps its detail, and nothing stays held', async () => {
  const failing = async (): Promise<void> => {
    throw new BuildError(Code.Unknown, 'exit code: 7', {
      details: [jsonDetail('gatewayapi.ExitMessage', { Code: 7 })],
    });
  };
  const op: DeepPartial<ExecOp> = {
    meta: { args: ['sh', '-c', 'say "x"\n'] },
    mounts: [
      root,
      { input: 0n, output: 1n, dest: '/ro', readonly: true },
      { input: -1n, output: -1n, dest: '/c', mountType: 3, cacheOpt: { ID: 'c' } },
    ],
  };
  await assert.rejects(run(op, { run: failing }), (error: BuildError) => {
    assert.equal(error.message, 'process "sh -c say \\"x\\"\\n" did not complete successfully: exit code: 7');
    assert.deepEqual(error.findDetail('gatewayapi.ExitMessage'), { Code: 7 });
    return true;
  });
});

void test('mounts that cannot be made leave nothing held', async () => {
  const bad = (mount: object) =>
    run({ meta: { args: ['a'] }, mounts: [root, { input: 0n, output: 1n, dest: '/ro', readonly: true }, mount] });
  const none = { input: -1n, output: -1n, dest: '/x' };
  await assert.rejects(bad({ ...none, mountType: 1, secretOpt: { ID: 'gone' } }), /secret gone: not found/);
  await assert.rejects(bad({ ...none, mountType: 1, secretOpt: {} }), /secret ID missing from mount options/);
  await assert.rejects(bad({ ...none, mountType: 3 }), /missing cache mount options/);
  await assert.rejects(bad({ ...none, input: 9n }), /missing input 9/);
  await assert.rejects(bad({ ...none, dest: '/', mountType: 4 }), /invalid mount type TMPFS for \//);
  const { step } = await bad({ ...none, mountType: 1, secretOpt: { ID: 'gone', optional: true } });
  assert.deepEqual(
    step.mounts.map((m) => m.dest),
    ['/ro'],
  );
  const extraHosts = [{ Host: 'h', IP: 'nowhere' }];
  await assert.rejects(run({ meta: { args: ['a'], extraHosts }, mounts: [root] }), /failed to parse IP nowhere/);
});

void test('a commit that fails gives back what was committed before', async () => {
  const store = new FakeStore();
  store.failCommitOf = 'scratch+';
  const mounts = [root, { input: -1n, output: 1n, dest: '/o' }, { input: 0n, output: 2n, dest: '/i', readonly: true }];
  await assert.rejects(run({ meta: { args: ['a'] }, mounts }, { store }), /error committing scratch\+: no space/);
});

void test('a step that fails leaves what each mount held', async () => {
  const mounts: DeepPartial<ExecOp['mounts']> = [
    root,
    { input: -1n, output: 1n, dest: '/new' },
    { input: 0n, output: -1n, dest: '/scratch' },
    { input: 0n, output: 2n, dest: '/ro', readonly: true },
    { input: -1n, output: -1n, dest: '/tmp', mountType: 4 },
  ];
  const all = setUp(
    { meta: { args: ['a'] }, mounts },
    {
      run: async () => {
        throw new BuildError(Code.Unknown, 'exit code: 1');
      },
    },
  );
  const error = (await all.op.exec(all.context, all.inputs).catch((e: unknown) => e)) as BuildError;
  await all.releaseInputs();
  assert.ok(error.attachment instanceof Remains);
  const ids = (results: Remains['inputs']) => results.map((r) => r && (r.sys as { id: string }).id);
  assert.deepEqual(ids(error.attachment.inputs), ['in0', undefined, 'in0', 'in0', undefined]);
  assert.deepEqual(ids(error.attachment.made), ['in0+', 'scratch+', 'in0+', 'in0', undefined]);
  await error.attachment.release();
  assert.deepEqual(all.store.held(), []);
});

void test('a process is below the span of its step, in the first of the builds', async () => {
  const traces = ['ab'.repeat(16), 'cd'.repeat(16)];
  const { step } = await run({ meta: { args: ['x'], cwd: '/' }, mounts: [root] }, { traces });
  assert.equal(step.meta.traceParent, `00-${traces[0]}-${stepSpanId(traces[0], 'sha256:v')}-01`);
  const alone = await run({ meta: { args: ['x'], cwd: '/' }, mounts: [root] });
  assert.equal(alone.step.meta.traceParent, undefined);
});

void test('output goes to the log as it is', async () => {
  const { logs } = await run(
    { meta: { args: ['a'] }, mounts: [root] },
    {
      run: async ({ stdout, stderr }) => {
        stdout.write('one\n');
        stderr.write('two\n');
      },
    },
  );
  assert.deepEqual(logs, ['1:one\n', '2:two\n']);
});

void test('cache mounts: shared by all, private to one, or waited for', async () => {
  const store = new FakeStore();
  const caches = new CacheMounts(store.accessor);
  const { signal } = new AbortController();
  const acquire = (sharing: number, base?: ImmutableRef) =>
    caches.acquire({ id: 'c', sharing, base, description: 'd' }, signal);
  const [one, two] = await Promise.all([acquire(0), acquire(0)]);
  assert.equal(one.ref.id, 'cache0');
  assert.equal(two.ref, one.ref);
  const own = await acquire(1);
  assert.equal(own.ref.id, 'cache1', 'a private one is not the one in use');
  await Promise.all([one.release(), own.release()]);
  assert.deepEqual(store.held(), ['cache0']);
  const locked = await acquire(2);
  assert.equal(locked.ref.id, 'cache1', 'one that is free');
  let isThere = false;
  const waiting = acquire(2).then((mount) => {
    isThere = true;
    return mount;
  });
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(isThere, false);
  await two.release();
  const next = await waiting;
  assert.equal(next.ref.id, 'cache0');
  const giveUp = new AbortController();
  const never = caches.acquire({ id: 'c', sharing: 2, base: undefined, description: 'd' }, giveUp.signal);
  giveUp.abort();
  await assert.rejects(never);
  await Promise.all([next.release(), locked.release()]);
  const base = store.fixed('in0');
  const based = await acquire(0, base);
  assert.equal(store.records.get(based.ref.id)?.index, 'cache-dir:c:in0');
  assert.equal(store.records.get(based.ref.id)?.retain, true);
  await Promise.all([based.release(), base.release()]);
  await assert.rejects(acquire(9), /invalid cache sharing option/);
  assert.deepEqual(store.held(), []);
});

void test('a cache mount that was pruned is not handed out again', async () => {
  const store = new FakeStore();
  const caches = new CacheMounts(store.accessor);
  const request = { id: 'c', sharing: 0, base: undefined, description: 'd' };
  const { signal } = new AbortController();
  const old = await caches.acquire(request, signal);
  await old.ref.metadata.set('cache-dir', undefined);
  const fresh = await caches.acquire(request, signal);
  assert.notEqual(fresh.ref.id, old.ref.id);
  await old.release();
  const again = await caches.acquire(request, signal);
  assert.equal(again.ref, fresh.ref);
  await Promise.all([fresh.release(), again.release()]);
  assert.deepEqual(store.held(), []);
});

void test('one key twice in a step is one directory, kept for the next', async () => {
  const store = new FakeStore();
  const cache = { input: -1n, output: -1n, mountType: 3, cacheOpt: { ID: 'c', sharing: 1 } };
  const op = { meta: { args: ['a'] }, mounts: [root, { ...cache, dest: '/a' }, { ...cache, dest: '/b' }] };
  for (let i = 0; i < 2; i++) {
    const { step } = await run(op, { store });
    assert.deepEqual(
      step.mounts.map((m) => (m.source as { id?: string }).id),
      ['cache0', 'cache0'],
    );
  }
  assert.equal(store.descriptions[1], 'cached mount /a from exec a with id "c"');
});

void test('a step of Windows says what could run it, before its mounts are made', async () => {
  const store = new FakeStore();
  const windows = { os: 'windows', architecture: 'amd64', osVersion: '10.0.20348' };
  const op = { meta: { args: ['cmd', '/S', '/C', 'dir "C:\\"'] }, mounts: [{ input: 0n, dest: '/', output: 0n }] };
  await assert.rejects(run(op, { store, platform: windows }), {
    message:
      'process "cmd /S /C dir \\"C:\\\\\\"" is for windows(10.0.20348)/amd64: only a Windows worker, a buildkitd on Windows, could run it, ' +
      'and this worker runs processes of linux',
  });
});

test('an emulator runs programs of other machines where nothing else does', () => {
  const folder = mkdtempSync(join(tmpdir(), 'emulator-'));
  try {
    const program = join(folder, 'buildkit-qemu-aarch64');
    writeFileSync(program, '', { mode: 0o755 });
    writeFileSync(join(folder, 'buildkit-qemu-s390x'), '', { mode: 0o644 });
    const path = `/nowhere:${folder}`;
    const linux = (architecture: string, variant?: string): Platform => ({
      os: 'linux',
      architecture,
      ...(variant === undefined ? {} : { variant }),
    });
    const own = [linux('amd64'), linux('amd64', 'v2'), linux('386')];
    assert.equal(findEmulator(linux('arm64'), own, path), program);
    assert.equal(findEmulator(linux('arm64', 'v8'), own, path), program);
    assert.equal(findEmulator(linux('arm64'), own, undefined), undefined);
    assert.equal(findEmulator(linux('arm64'), [...own, linux('arm64')], path), undefined);
    for (const one of own) assert.equal(findEmulator(one, own, path), undefined);
    assert.equal(findEmulator(linux('s390x'), own, path), undefined);
    assert.throws(() => findEmulator(linux('amd64', 'v4'), own, path), {
      message: 'no support for running processes with linux/amd64/v4 platform, supported: linux/amd64, linux/amd64/v2',
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
});
