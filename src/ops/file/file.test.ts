import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { noProgress } from '../../base/index.ts';
import type { BuildError } from '../../base/index.ts';
import type { Digest } from '../../oci/types.ts';
import { FileOp } from '../../proto/ops.pb.ts';
import type { DeepPartial } from '../../proto/ops.pb.ts';
import { Remains } from '../../solver/index.ts';
import type { JobContext, Vertex } from '../../solver/types.ts';
import type {
  CacheAccessor,
  ContentHasher,
  CreateOptions,
  ImageSystem,
  ImmutableRef,
  MutableRef,
} from '../../storage/types.ts';
import { offerMounts } from '../../storage/local-mount.ts';
import { RefResult } from '../ref-result.ts';
import { isTarHeader } from './is-archive.ts';
import { createFileOp } from './index.ts';

const top = mkdtempSync(join(tmpdir(), 'file-op-'));
after(() => rmSync(top, { recursive: true, force: true }));
let count = 0;
function folder(files: Record<string, string> = {}): string {
  const dir = join(top, `d${count++}`);
  mkdirSync(dir);
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(join(dir, path, '..'), { recursive: true });
    writeFileSync(join(dir, path), content);
  }
  return dir;
}

/** Refs that are folders, copied for each child; `held` counts owners. */
let held = 0;
function refOfFolder(dir: string, id: string, system: ImageSystem = 'linux'): ImmutableRef {
  held++;
  const ref = {
    id,
    dir,
    system,
    mounts: async () => ({ mounts: [{ type: 'bind', source: dir, options: [] }], release: async () => {} }),
    fork: () => refOfFolder(dir, id, system),
    release: async () => void held--,
    unlazy: async () => {},
  };
  return ref as unknown as ImmutableRef;
}
const accessor = {
  create: async (parent: (ImmutableRef & { dir: string }) | undefined, { system }: CreateOptions) => {
    const dir = folder();
    if (parent !== undefined) cpSync(parent.dir, dir, { recursive: true, verbatimSymlinks: true });
    const fixed = refOfFolder(dir, `r${count}`, parent?.system ?? system);
    return { ...fixed, commit: async () => fixed } as unknown as MutableRef;
  },
  copyDirs: async (source: ImmutableRef & { dir: string }, target: MutableRef & { dir: string }) => ({
    layers: [source.dir],
    target: target.dir,
  }),
} as unknown as CacheAccessor;

const takeBack = offerMounts({
  directory: async (set: { mounts: Array<{ source: string }> }) => ({
    dir: set.mounts[0]?.source,
    release: async () => {},
  }),
} as never);
after(takeBack);

const context = {
  signal: new AbortController().signal,
  progress: noProgress,
  sessions: () => [],
  values: () => [],
  once: <T>(_: string, work: () => Promise<T>) => work(),
} as unknown as JobContext;

const hasher: ContentHasher = {
  compare: async () => undefined,
  checksum: async (ref, path, selector) =>
    `sha256:${JSON.stringify([ref?.id, path, selector.followLinks === true])}` as Digest,
};

function makeOp(actions: DeepPartial<FileOp['actions'][number]>[], inputs: number, os = 'linux') {
  const vertex = { name: 'test', inputs: Array.from({ length: inputs }, () => ({})) } as unknown as Vertex;
  const op = FileOp.decode(FileOp.encode(FileOp.fromPartial({ actions })).finish());
  return createFileOp({ accessor, hasher, workerId: 'w' }, vertex, op, os, async () => () => {});
}

/** What the last run that failed left. */
let lastRemains: { subject: Remains['subject']; inputs: unknown[]; made: unknown[] } | undefined;

/** `os` is what the step says that it is for, `base` what its first input is of. */
async function run(
  actions: DeepPartial<FileOp['actions'][number]>[],
  dirs: string[] = [],
  { os = 'linux', base = 'linux' }: { readonly os?: string; readonly base?: ImageSystem } = {},
): Promise<string[]> {
  const inputs = dirs.map((dir, i) => new RefResult('w', refOfFolder(dir, `in${i}`, i === 0 ? base : 'linux')));
  try {
    const results = await makeOp(actions, dirs.length, os).exec(context, inputs);
    const found = results.map((r) => (r.sys as { dir: string }).dir);
    for (const r of results) await r.release();
    return found;
  } catch (error) {
    const { attachment } = error as BuildError;
    if (attachment instanceof Remains) {
      lastRemains = {
        subject: attachment.subject,
        inputs: attachment.inputs.map((r) => (r?.sys as { id: string } | undefined)?.id),
        made: attachment.made.map((r) => r && readdirSync((r.sys as { dir: string }).dir)),
      };
      await attachment.release();
    }
    throw error;
  } finally {
    for (const input of inputs) await input.release();
    assert.equal(held, 0, 'every ref has been released');
  }
}

const only = { input: -1n, secondaryInput: -1n, output: 0n };
const copy = (value: object) => ({ action: { $case: 'copy' as const, value: { mode: -1, timestamp: -1n, ...value } } });

test('mkdir, mkfile, symlink and rm', async () => {
  const chain = (i: number, last: boolean) => ({
    input: i === 0 ? -1n : BigInt(i - 1),
    secondaryInput: -1n,
    output: last ? 0n : -1n,
  });
  const [dir] = (await run([
    {
      ...chain(0, false),
      action: { $case: 'mkdir', value: { path: '/a/b', mode: 0o750, makeParents: true, timestamp: 9_000_000_000n } },
    },
    {
      ...chain(1, false),
      action: { $case: 'mkfile', value: { path: '/a/f', mode: 0o640, data: Buffer.from('data'), timestamp: -1n } },
    },
    { ...chain(2, false), action: { $case: 'symlink', value: { oldpath: '/a/f', newpath: '/l', timestamp: -1n } } },
    { ...chain(3, false), action: { $case: 'mkfile', value: { path: '/gone', mode: 0o640, timestamp: -1n } } },
    { ...chain(4, true), action: { $case: 'rm', value: { path: '/g*', allowWildcard: true } } },
  ])) as [string];
  assert.equal(lstatSync(join(dir, 'a/b')).mode & 0o777, 0o750);
  assert.equal(lstatSync(join(dir, 'a/b')).mtimeMs, 9000);
  assert.equal(readFileSync(join(dir, 'a/f'), 'utf8'), 'data');
  assert.equal(readlinkSync(join(dir, 'l')), '/a/f');
  assert.equal(existsSync(join(dir, 'gone')), false);
});

test('a copy with an owner by name', { skip: process.getuid?.() !== 0 && 'needs root' }, async () => {
  const base = folder({ 'etc/passwd': 'root:x:0:0::/:\napp:x:7:8::/:/bin/sh\n', 'etc/group': 'web:x:9:\n' });
  const owner = {
    user: { user: { $case: 'byName' as const, value: { name: 'app', input: 0n } } },
    group: { user: { $case: 'byName' as const, value: { name: 'web', input: 0n } } },
  };
  const action = { input: 0n, secondaryInput: 1n, output: 0n };
  const [dir] = (await run(
    [{ ...action, ...copy({ src: '/src', dest: '/srv/', createDestPath: true, owner }) }],
    [base, folder({ 'src/f': 'x' })],
  )) as [string];
  for (const path of ['srv', 'srv/src', 'srv/src/f']) {
    assert.deepEqual([lstatSync(join(dir, path)).uid, lstatSync(join(dir, path)).gid], [7, 9], path);
  }
});

const ownedBy = (input: bigint, user: string, group?: string) => {
  const named = (name: string) => ({ user: { $case: 'byName' as const, value: { name, input } } });
  return { user: named(user), ...(group === undefined ? {} : { group: named(group) }) };
};

test('owners that every Windows has', { skip: process.getuid?.() !== 0 && 'needs root' }, async () => {
  const rows = [
    ['containeruser', undefined, 59_322, 59_322],
    ['User Manager\\ContainerAdministrator', 'BUILTIN\\Users', 59_321, 59_545],
    ['somebody', undefined, 0, 0],
  ] as const;
  for (const [user, group, uid, gid] of rows) {
    const idsIn = ([dir]: string[]): number[] => {
      const { uid: hasUid, gid: hasGid } = lstatSync(join(dir, 'srv/src/f'));
      return [hasUid, hasGid];
    };
    const files = (input: bigint) =>
      copy({ src: '/src', dest: '/srv/', createDestPath: true, owner: ownedBy(input, user, group) });
    // On an image of Windows: that it has such a file does not count.
    const base = folder({ 'etc/passwd': 'containeruser:x:7:8::/:\nsomebody:x:9:9::/:\n', 'etc/group': '' });
    const onImage = { input: 0n, secondaryInput: 1n, output: 0n, ...files(0n) };
    assert.deepEqual(idsIn(await run([onImage], [base, folder({ 'src/f': 'x' })], { base: 'windows' })), [uid, gid]);
    // On nothing the step says it; there is nothing to look other names up in.
    const onNothing = { input: -1n, secondaryInput: 0n, output: 0n, ...files(-1n) };
    const made = run([onNothing], [folder({ 'src/f': 'x' })], { os: 'windows' });
    if (user === 'somebody') await assert.rejects(made, /invalid user index: -1/);
    else assert.deepEqual(idsIn(await made), [uid, gid]);
    await assert.rejects(run([onNothing], [folder({ 'src/f': 'x' })]), /invalid user index: -1/);
  }
});

test('what begins on nothing has a key for its system', async () => {
  const keyOf = async (input: bigint, os: string, owner?: object): Promise<string | undefined> => {
    const action = { input, secondaryInput: 1n, output: 0n, ...copy({ src: '/a', dest: '/b', owner }) };
    return (await makeOp([action], 2, os).cacheMap(context, 0))?.map.digest;
  };
  assert.notEqual(await keyOf(-1n, 'windows'), await keyOf(-1n, 'linux'));
  assert.equal(await keyOf(0n, 'windows'), await keyOf(0n, 'linux'));
  const user = ownedBy(-1n, 'ContainerUser');
  assert.notEqual(
    await keyOf(-1n, 'windows', user),
    await keyOf(-1n, 'windows', ownedBy(-1n, 'ContainerAdministrator')),
  );
});

test('a mode string changes what the source has, whatever the number beside it', async () => {
  const change = { mode: 0, modeStr: 'u=rwX,go=rX', dirCopyContents: true, createDestPath: true };
  const [dir] = (await run(
    [{ input: -1n, secondaryInput: 0n, output: 0n, ...copy({ src: '/src', dest: '/new/', ...change }) }],
    [folder({ 'src/f': 'x' })],
  )) as [string];
  assert.deepEqual(
    ['new', 'new/f'].map((path) => lstatSync(join(dir, path)).mode & 0o777),
    [0o755, 0o644],
  );
});

test('wildcards, empty ones, and what is missing', async () => {
  const source = folder({ 'a1/f': '1', 'a2/f': '2' });
  const action = { input: -1n, secondaryInput: 0n, output: 0n };
  const [dir] = (await run(
    [{ ...action, ...copy({ src: '/a*', dest: '/out/', allowWildcard: true, createDestPath: true }) }],
    [source],
  )) as [string];
  assert.deepEqual([existsSync(join(dir, 'out/a1/f')), existsSync(join(dir, 'out/a2/f'))], [true, true]);
  await run(
    [{ ...action, ...copy({ src: '/z*', dest: '/', allowWildcard: true, allowEmptyWildcard: true }) }],
    [source],
  );
  await assert.rejects(
    run([{ ...action, ...copy({ src: '/z*', dest: '/', allowWildcard: true }) }], [source]),
    /\/z\* not found/,
  );
  await assert.rejects(
    run([{ ...action, ...copy({ src: '/a1/f', dest: '/no/x' }) }], [source]),
    /failed to stat \/no\/x/,
  );
  await assert.rejects(run([{ ...only, action: { $case: 'rm', value: { path: '/none' } } }]), /no such file/);
  await assert.rejects(
    run([{ ...only, action: { $case: 'rm', value: { path: '/', allowNotFound: true } } }]),
    /invalid empty path/,
  );
});

test('several outputs; what is used twice is kept apart; errors name the action', async () => {
  const mk = (input: bigint, output: bigint, path: string) => ({
    input,
    secondaryInput: -1n,
    output,
    action: { $case: 'mkfile' as const, value: { path, mode: 0o644, timestamp: -1n } },
  });
  const outs = await run([mk(-1n, -1n, '/base'), mk(0n, 1n, '/one'), mk(0n, 0n, '/two')]);
  const has = outs.map((dir) => ['base', 'one', 'two'].filter((f) => existsSync(join(dir, f))));
  assert.deepEqual(has, [
    ['base', 'two'],
    ['base', 'one'],
  ]);
  await assert.rejects(run([mk(-1n, -1n, '/base'), mk(0n, 0n, '/no/dir/f')]));
  // The first action's tree went on to the second.
  const made = [undefined, ['base']];
  assert.deepEqual(lastRemains, { subject: { kind: 'file', index: 1 }, inputs: [], made });
});

test('a copy that fails leaves what it read and what it wrote to', async () => {
  const source = folder({ f: 'f' });
  const mkfile = { ...only, output: -1n, action: { $case: 'mkfile' as const, value: { path: '/m', mode: 0o644 } } };
  const value = { src: '/gone', dest: '/x', mode: -1, timestamp: -1n };
  const fails = { input: 0n, secondaryInput: 1n, output: 0n, action: { $case: 'copy' as const, value } };
  await assert.rejects(run([mkfile, fails], [source]), /gone/);
  assert.deepEqual(lastRemains, { subject: { kind: 'file', index: 1 }, inputs: ['in0'], made: [['m'], ['f']] });
});

test('bad numbers are refused', async () => {
  const mk = (input: bigint, output: bigint) => ({
    input,
    secondaryInput: -1n,
    output,
    action: { $case: 'mkfile' as const, value: { path: '/f', timestamp: -1n } },
  });
  await assert.rejects(run([mk(5n, 0n)]), /invalid input index 5/);
  await assert.rejects(run([mk(-2n, 0n)]), /invalid input index -2/);
  await assert.rejects(run([mk(-1n, -1n)]), /no outputs specified/);
  await assert.rejects(run([mk(-1n, 0n), mk(-1n, 0n)]), /duplicate output 0/);
  await assert.rejects(run([mk(-1n, 1n)]), /missing output index 0/);
  await assert.rejects(run([mk(1n, 0n), mk(0n, -1n)]), /loop from index/);
  await assert.rejects(run([{ ...only }]), /invalid action type/);
});

test('archives are unpacked where that is asked for, other files are copied', async () => {
  const source = folder({ 'in/f': 'unpacked', 'plain.tar': 'no archive' });
  execFileSync('tar', ['-czf', join(source, 'real.tgz'), '-C', join(source, 'in'), 'f']);
  const action = { input: -1n, secondaryInput: 0n, output: 0n };
  const add = { dest: '/out/', attemptUnpackDockerCompatibility: true, createDestPath: true, allowWildcard: true };
  const [dir] = (await run([{ ...action, ...copy({ ...add, src: '/*.t*' }) }], [source])) as [string];
  assert.equal(readFileSync(join(dir, 'out/f'), 'utf8'), 'unpacked');
  assert.equal(readFileSync(join(dir, 'out/plain.tar'), 'utf8'), 'no archive');
  assert.equal(existsSync(join(dir, 'out/real.tgz')), false);
});

test('archives are recognised by their header', () => {
  const dir = folder({ f: 'x' });
  const tar = execFileSync('tar', ['-cf', '-', '-C', dir, 'f']);
  assert.equal(isTarHeader(tar), true);
  assert.equal(isTarHeader(Buffer.alloc(1024)), false);
  assert.equal(isTarHeader(Buffer.from('text')), false);
});

test('what is copied may not lead out', async () => {
  const outside = folder({ secret: 's' });
  const base = folder();
  symlinkSync(outside, join(base, 'way'));
  await run(
    [
      {
        input: 0n,
        secondaryInput: -1n,
        output: 0n,
        action: { $case: 'mkfile', value: { path: '/way/new', mode: 0o644, timestamp: -1n } },
      },
    ],
    [base],
  ).catch(() => {});
  await run(
    [
      {
        input: 0n,
        secondaryInput: -1n,
        output: 0n,
        action: { $case: 'rm', value: { path: '/way/secret', allowNotFound: true } },
      },
    ],
    [base],
  );
  assert.equal(existsSync(join(outside, 'new')), false);
  assert.equal(existsSync(join(outside, 'secret')), true);
});

const sha = (text: string): string => `sha256:${createHash('sha256').update(text).digest('hex')}`;
const b64 = (text: string): string => Buffer.from(text).toString('base64');

test("cache map: Go's JSON, selectors, content", async () => {
  const { map } = await makeOp(
    [
      {
        input: 0n,
        secondaryInput: 1n,
        output: 0n,
        ...copy({
          src: '/dir/a<b',
          dest: '/x',
          owner: { user: { user: { $case: 'byID', value: 0 } } },
          includePatterns: ['*.go'],
        }),
      },
    ],
    2,
  ).cacheMap(context, 0);
  const action =
    '{"src":"a\\u003cb","dest":"/x","owner":{"user":{"User":{}}},"mode":-1,"timestamp":-1,"include_patterns":["*.go"]}';
  assert.equal(map.digest, sha(`{"Type":"buildkit.file.v0","Actions":["${b64(action)}"]}`));
  assert.equal(map.deps[0]?.selector, undefined, 'what is changed counts as a whole');
  assert.equal(map.deps[1]?.selector, sha('/dir/a<b'));
  const digest = await map.deps[1]?.computeDigest?.(new RefResult('w', { id: 'q' } as ImmutableRef), context);
  assert.equal(digest, sha('sha256:["q","/dir/a<b",false]'));

  const two = await makeOp(
    [
      { input: -1n, secondaryInput: 0n, output: -1n, ...copy({ src: '/b', dest: '/x' }) },
      { input: 1n, secondaryInput: 0n, output: 0n, ...copy({ src: '/a/', dest: '/x' }) },
    ],
    1,
  ).cacheMap(context, 0);
  const actions = ['b', 'a'].map((src) => `"${b64(`{"src":"${src}","dest":"/x","mode":-1,"timestamp":-1}`)}"`);
  assert.equal(
    two.map.digest,
    sha(`{"Type":"buildkit.file.v0","Actions":[${actions.join(',')}],"indexes":[[-1,0,-1],[1,0,0]]}`),
  );
  assert.equal(two.map.deps[0]?.selector, sha('/b\0/a/'), 'descending');
});

test('a copy from nothing is one from an empty folder', async () => {
  const [dir] = (await run([{ ...only, ...copy({ src: '/', dest: '/' }) }])) as [string];
  assert.deepEqual(readdirSync(dir), []);
  await assert.rejects(run([{ ...only, ...copy({ src: '/foo', dest: '/' }) }]), /\/foo: no such file or directory/);
  await assert.rejects(run([{ ...only, ...copy({ src: '/f*', dest: '/', allowWildcard: true }) }]), /f\* not found/);
});
