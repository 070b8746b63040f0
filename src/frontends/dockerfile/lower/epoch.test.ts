import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { encodeTarHeader, TAR_TRAILER, tarPadding } from '../../../archive/index.ts';
import { LLB_CAPS, http, local } from '../../../llb/index.ts';
import type { SourceMeta, State } from '../../../llb/index.ts';
import type { GatewayClient } from '../../types.ts';
import type { BuildContext } from '../build-context.ts';
import { parseStages } from '../instructions/index.ts';
import type { NamedContexts } from '../named-context.ts';
import { parseDockerfile } from '../parse/index.ts';
import { resolveEpoch } from './epoch.ts';
import { Variables } from './variables.ts';

interface World {
  readonly dockerfile?: string;
  readonly meta?: Partial<SourceMeta>;
  readonly download?: Uint8Array;
  readonly context?: State;
  readonly named?: Record<string, State>;
}

function resolve(text: string, world: World = {}): Promise<bigint | undefined> {
  const { stages } = parseStages(parseDockerfile(world.dockerfile ?? 'FROM scratch').nodes);
  const client = {
    buildOpts: () => ({ llbCaps: new Set(LLB_CAPS.map((c) => c.id)) }),
    resolveSourceMeta: async (source: { identifier: string }) => ({ ...source, ...world.meta }),
    solve: async () => ({
      metadata: new Map(),
      ref: {
        readFile: async (_path: string, { offset, length }: { offset: number; length: number }) =>
          (world.download ?? new Uint8Array()).subarray(offset, offset + length),
      },
    }),
  } as unknown as GatewayClient;
  return resolveEpoch(text, {
    client,
    stages,
    context: { remote: async () => world.context } as unknown as BuildContext,
    named: {
      find: ({ name }: { name: string }) =>
        world.named?.[name] && { load: async () => ({ state: world.named?.[name] as State }) },
    } as unknown as NamedContexts,
    platform: { os: 'linux', architecture: 'amd64' },
    buildArgs: new Map(),
    globalArgs: new Variables([['HOST', 'example.com']]),
    lex: { escape: '\\' },
  });
}

function tarOf(files: readonly { name: string; seconds: number; type?: string }[]): Uint8Array {
  const data = Buffer.from('x'.repeat(700));
  const entries = files.flatMap(({ name, seconds, type = '0' }) => {
    const size = type === '0' ? data.length : 0;
    const header = encodeTarHeader({
      name,
      type,
      mode: 0o644,
      uid: 0,
      gid: 0,
      size,
      mtimeNs: BigInt(seconds) * 1_000_000_000n,
      linkname: '',
      uname: '',
      gname: '',
      devmajor: 0,
      devminor: 0,
    });
    return size === 0 ? [header] : [header, data, new Uint8Array(tarPadding(size))];
  });
  return Buffer.concat([...entries, TAR_TRAILER]);
}

const stage = (rest: string): string => `ARG SOURCE_DATE_EPOCH=src\nFROM scratch AS src\n${rest}\nFROM busybox\n`;

void test('numbers stand for themselves, nothing for nothing', async () => {
  assert.equal(await resolve('1700000000'), 1_700_000_000n);
  assert.equal(await resolve('-5'), -5n);
  assert.equal(await resolve(''), undefined);
  await assert.rejects(resolve('not-a-timestamp'), /^\w*Error: invalid SOURCE_DATE_EPOCH: not-a-timestamp$/);
  await assert.rejects(resolve('9223372036854775808'), /invalid SOURCE_DATE_EPOCH/);
});

void test('a directory of the client has no time', async () => {
  assert.equal(await resolve('context'), undefined);
  assert.equal(await resolve('files', { named: { files: local('files') } }), undefined);
});

void test('what the server says of a download', async () => {
  const meta = { http: { checksum: 'sha256:x' as never, filename: 'a', lastModified: 1_700_000_201_999_999_999n } };
  const context = http('http://example.com/a.tar', { filename: 'context' });
  assert.equal(await resolve('context', { context, meta }), 1_700_000_201n);
  assert.equal(await resolve('a', { named: { a: context }, meta }), 1_700_000_201n);
});

void test('otherwise the newest regular file of the archive', async () => {
  const context = http('http://example.com/a.tar', { filename: 'context' });
  const download = tarOf([
    { name: 'old', seconds: 1000 },
    { name: 'new', seconds: 3000 },
    { name: 'dir/', seconds: 9000, type: '5' },
    { name: 'mid', seconds: 2000 },
  ]);
  assert.equal(await resolve('context', { context, download }), 3000n);
  assert.equal(await resolve('context', { context, download: gzipSync(download) }), 3000n);
  assert.equal(await resolve('context', { context, download: Buffer.from('no archive') }), undefined);
  assert.equal(await resolve('context', { context, download: download.subarray(0, 1024) }), undefined);
});

void test('the committer of a commit', async () => {
  const commitObject = Buffer.from(
    'tree 1\nauthor A > <a@b> 1 +0000\ncommitter C <c@d> 1700000101 +0200\n\ncommitter X <x@y> 7 +0000\n',
  );
  const meta = { git: { checksum: '', ref: '', commitChecksum: '', commitObject } };
  const dockerfile = stage('ADD https://example.com/repo.git#main /');
  assert.equal(await resolve('src', { dockerfile, meta }), 1_700_000_101n);
  assert.equal(await resolve('SRC', { dockerfile, meta }), 1_700_000_101n);
});

void test('a stage must be one remote ADD', async () => {
  const download = tarOf([{ name: 'f', seconds: 42 }]);
  const dockerfile = stage('ARG NAME=f.tar\nADD http://$HOST/$NAME /');
  assert.equal(await resolve('src', { dockerfile, download }), 42n);
  const fails = async (rest: string, text: RegExp): Promise<void> => {
    await assert.rejects(resolve('src', { dockerfile: stage(rest) }), text);
  };
  await fails(
    'COPY a /',
    /SOURCE_DATE_EPOCH stage does not meet source-only requirements: unsupported copy instruction/,
  );
  await fails('ADD a /', /SOURCE_DATE_EPOCH stage source must be a single HTTP\(S\) or Git ADD/);
  await fails('ADD http://x/a http://x/b /', /must contain exactly one remote ADD source/);
  await fails('ADD http://x/a /\nADD http://x/b /', /must contain exactly one remote ADD$/);
  await fails('ARG A', /must contain exactly one remote ADD$/);
  const other = { dockerfile: 'FROM alpine AS src\nADD http://x/a /\nFROM src' };
  await assert.rejects(resolve('src', other), /SOURCE_DATE_EPOCH stage must use FROM scratch/);
});
