import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { TarReader } from '../archive/index.ts';
import { Deferred, noProgress } from '../base/index.ts';
import { receiveTree } from '../files/index.ts';
import type { PacketChannel } from '../files/types.ts';
import type { SessionCaller } from '../session/types.ts';
import type { ImmutableRef } from '../storage/types.ts';
import { createExporters } from './index.ts';
import type { ExporterDeps } from './index.ts';

/** One direction of a connection in memory. */
class Pipe {
  readonly #packets: Uint8Array[][] = [];
  #ended = false;
  #news = new Deferred();

  write(packets: readonly Uint8Array[]): Promise<void> {
    this.#packets.push(packets.map((packet) => Uint8Array.from(packet)));
    this.#wake();
    return Promise.resolve();
  }

  end(): void {
    this.#ended = true;
    this.#wake();
  }

  #wake(): void {
    this.#news.resolve();
    this.#news = new Deferred();
  }

  async read(): Promise<Uint8Array[] | undefined> {
    for (;;) {
      const batch = this.#packets.shift();
      if (batch !== undefined || this.#ended) return batch;
      await this.#news.promise;
    }
  }
}

/** A client that takes each transfer into `target`. */
function directoryClient(target: string, received: Promise<unknown>[], merge = true): SessionCaller {
  const stream = (): unknown => {
    const there = new Pipe();
    const back = new Pipe();
    const client: PacketChannel = { readBatch: () => there.read(), writeBatch: (packets) => back.write(packets) };
    received.push(receiveTree(target, client, { merge, owner: { uid: 0, gid: 0 } }).finally(() => back.end()));
    return {
      readBatch: () => back.read(),
      writeBatch: (packets: readonly Uint8Array[]) => there.write(packets),
      end: () => there.end(),
      cancel: () => there.end(),
    };
  };
  return { supports: () => true, channel: { stream } } as unknown as SessionCaller;
}

function fileClient(chunks: Uint8Array[]): SessionCaller {
  const stream = {
    write: async ({ data }: { data: Uint8Array }) => void chunks.push(Uint8Array.from(data)),
    end: () => {},
    readBatch: async () => undefined,
    cancel: () => {},
  };
  return { supports: () => true, channel: { stream: () => stream } } as unknown as SessionCaller;
}

function setUp(t: test.TestContext): { root: string; ref(name: string, files: Record<string, string>): ImmutableRef } {
  const root = mkdtempSync(join(tmpdir(), 'exported-'));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  mkdirSync(join(root, 'target'));
  return {
    root,
    ref: (name, files) => {
      const source = join(root, name);
      mkdirSync(source);
      for (const [path, text] of Object.entries(files)) writeFileSync(join(source, path), text);
      const mounts = [{ type: 'bind', source, options: ['ro', 'rbind'] }];
      return { mounts: async () => ({ mounts, release: async () => {} }) } as unknown as ImmutableRef;
    },
  };
}

function depsWith(caller: SessionCaller): ExporterDeps {
  const none = undefined as never;
  return { content: none, registry: none, sessions: { get: async () => caller, any: async () => none } };
}

const context = {
  signal: new AbortController().signal,
  progress: noProgress,
  sessionId: 's',
  exporterIndex: 0,
};

const TWO = new Map([
  [
    'refs.platforms',
    Buffer.from(
      JSON.stringify({
        Platforms: ['amd64', 'arm64'].map((architecture) => ({
          ID: `linux/${architecture}`,
          Platform: { os: 'linux', architecture },
        })),
      }),
    ),
  ],
]);

void test('a directory of the client gets the files, with the times of the epoch', async (t) => {
  const { root, ref } = setUp(t);
  const target = join(root, 'target');
  const received: Promise<unknown>[] = [];
  const exporters = createExporters(depsWith(directoryClient(target, received)));
  const local = exporters.get('local')?.resolve(new Map([['source-date-epoch', '1000000000']]));
  await local?.export({ ref: ref('one', { a: 'text', b: '' }), metadata: new Map() }, context);
  await Promise.all(received);
  assert.deepEqual(readdirSync(target).toSorted(), ['a', 'b']);
  assert.equal(readFileSync(join(target, 'a'), 'utf8'), 'text');
  assert.equal(statSync(join(target, 'a')).mtimeMs, 1_000_000_000_000);
});

void test('platforms get a folder each, or may not have a file in common', async (t) => {
  const { root, ref } = setUp(t);
  const target = join(root, 'target');
  const received: Promise<unknown>[] = [];
  const exporters = createExporters(depsWith(directoryClient(target, received)));
  const refs = new Map([
    ['linux/amd64', ref('one', { a: '1' })],
    ['linux/arm64', ref('two', { a: '2' })],
  ]);
  await exporters.get('local')?.resolve(new Map()).export({ refs, metadata: TWO }, context);
  await Promise.all(received);
  assert.deepEqual(readdirSync(target).toSorted(), ['linux_amd64', 'linux_arm64']);
  assert.equal(readFileSync(join(target, 'linux_arm64', 'a'), 'utf8'), '2');
  const together = exporters.get('local')?.resolve(new Map([['platform-split', 'false']]));
  await assert.rejects(
    async () => together?.export({ refs, metadata: TWO }, context),
    /cannot overwrite a from linux\/amd64 with linux\/arm64 when split option is disabled/,
  );
});

void test('a client that replaces its directory gets all platforms, and keeps nothing else', async (t) => {
  const { root, ref } = setUp(t);
  const target = join(root, 'target');
  mkdirSync(join(target, 'linux_arm64'));
  for (const stale of ['stale', 'linux_arm64/stale']) writeFileSync(join(target, stale), '');
  const received: Promise<unknown>[] = [];
  const exporters = createExporters(depsWith(directoryClient(target, received, false)));
  const refs = new Map([
    ['linux/amd64', ref('one', { a: '1' })],
    ['linux/arm64', ref('two', { a: '2', b: '3' })],
  ]);
  const mode: [string, string] = ['mode', 'delete'];
  await exporters
    .get('local')
    ?.resolve(new Map([mode]))
    .export({ refs, metadata: TWO }, context);
  await Promise.all(received);
  const paths = readdirSync(target, { recursive: true }).toSorted();
  assert.deepEqual(paths, ['linux_amd64', 'linux_amd64/a', 'linux_arm64', 'linux_arm64/a', 'linux_arm64/b']);
  assert.equal(readFileSync(join(target, 'linux_arm64', 'a'), 'utf8'), '2');

  const apart = new Map([
    ['linux/amd64', ref('three', { a: '1' })],
    ['linux/arm64', ref('four', { b: '2' })],
  ]);
  const unsplit = exporters.get('local')?.resolve(new Map([mode, ['platform-split', 'false']]));
  await unsplit?.export({ refs: apart, metadata: TWO }, context);
  await Promise.all(received);
  assert.deepEqual(readdirSync(target).toSorted(), ['a', 'b']);
});

void test('a tar has the files; an empty result is an empty tar', async (t) => {
  const { ref } = setUp(t);
  const chunks: Uint8Array[] = [];
  const exporters = createExporters(depsWith(fileClient(chunks)));
  const names: string[] = [];
  const read = (): void => {
    names.length = 0;
    const reader = new TarReader({ entry: ({ name }) => void names.push(name), data: () => {}, entryEnd: () => {} });
    for (const chunk of chunks.splice(0)) reader.write(chunk);
  };
  const tar = exporters.get('tar')?.resolve(new Map());
  await tar?.export({ ref: ref('one', { a: 'text' }), metadata: new Map() }, context);
  read();
  assert.ok(names.includes('a'));
  await tar?.export({ metadata: new Map() }, context);
  read();
  assert.deepEqual(
    names.filter((name) => name !== './' && name !== '/'),
    [],
  );
});
