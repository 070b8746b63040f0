import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { BuildError, Code, configureLog, jsonDetail } from '../../base/index.ts';
import { openContentStore, readBlob } from '../../content/index.ts';
import { openDatabase } from '../../metadata/index.ts';
import type { Descriptor, Digest } from '../../oci/types.ts';
import { BuildHistoryEventType, BuildHistoryRequest, StatusResponse } from '../../proto/control.pb.ts';
import type { BuildHistoryEvent } from '../../proto/control.pb.ts';
import { Status } from '../../proto/status.pb.ts';
import { ResourceSpans } from '../../proto/otlp.pb.ts';
import { decodeStatus } from '../../rpc/index.ts';
import { TraceCollector } from '../../trace/index.ts';
import { openHistory } from './index.ts';
import type { ActiveRecord, BuildOutcome, History, HistoryOptions } from './index.ts';

configureLog({ write: () => {} });

const TIME = { seconds: 5n, nanos: 0 };
const isCode = (code: Code) => (error: unknown) => error instanceof BuildError && error.code === code;

function open(t: TestContext, options: Partial<HistoryOptions> = {}): { history: History; root: string } {
  const root = options.root ?? mkdtempSync(join(tmpdir(), 'history-'));
  const history = openHistory({ maxEntries: 50, maxAgeNs: 3600n * 1_000_000_000n, ...options, root });
  t.after(async () => {
    await history.close();
    rmSync(root, { recursive: true, force: true });
  });
  return { history, root };
}

function begin(history: History, ref: string, frontendAttrs = new Map<string, string>()): ActiveRecord {
  return history.begin({
    ref,
    frontend: 'dockerfile.v0',
    frontendAttrs,
    exporters: [{ type: 'image', attrs: new Map() }],
  });
}

async function build(history: History, ref: string, outcome: BuildOutcome = {}): Promise<void> {
  const active = begin(history, ref);
  await active.log.write(StatusResponse.fromPartial({ vertexes: [{ digest: `sha256:${ref}`, name: ref }] }));
  await active.finish(outcome);
}

async function stored(history: History, request: Partial<BuildHistoryRequest> = {}): Promise<BuildHistoryEvent[]> {
  const events: BuildHistoryEvent[] = [];
  for await (const event of history.listen(BuildHistoryRequest.fromPartial({ EarlyExit: true, ...request }))) {
    events.push(event);
  }
  return events;
}

const refs = (events: readonly BuildHistoryEvent[]): string[] => events.map(({ record }) => record?.Ref ?? '');

async function blobs(history: History): Promise<string[]> {
  const found: string[] = [];
  for await (const { digest } of history.content.list()) found.push(digest);
  return found;
}

async function putBlob(history: History, text: string): Promise<Digest> {
  const writer = await history.content.writer('provenance');
  await writer.write(Buffer.from(text));
  return await writer.commit({});
}

void describe('build history', () => {
  void it('takes spans that a client sends after its build', async (t) => {
    const traces = new TraceCollector();
    const { history } = open(t, { traces });
    const traceId = 'ab'.repeat(16);
    const active = history.begin({
      traceParent: { traceId, spanId: 'cd'.repeat(8) },
      ref: 'late',
      frontend: '',
      frontendAttrs: new Map(),
      exporters: [],
    });
    assert.equal(active.traceId, traceId);
    const span = (name: string): Uint8Array => {
      const one = { traceId: Buffer.from(traceId, 'hex'), name };
      return ResourceSpans.encode(ResourceSpans.fromPartial({ scopeSpans: [{ spans: [one] }] })).finish();
    };
    traces.receive([span('early')]);
    await active.finish({});
    const namesOf = async (): Promise<string[]> => {
      const [{ record }] = await stored(history);
      assert.ok(record?.trace);
      const { digest, size } = record.trace;
      const text = await readBlob(history.content, { digest: digest as Digest, size: Number(size) });
      const lines = Buffer.from(text).toString().trimEnd().split('\n');
      return lines.map((line) => (JSON.parse(line) as { Name: string }).Name);
    };
    assert.deepEqual(await namesOf(), ['early', 'moby.buildkit.v1.Control/Solve']);
    traces.receive([span('late')]);
    await history.update({ Ref: 'late', Finalize: true, Delete: false, Pinned: false });
    assert.deepEqual(await namesOf(), ['early', 'late', 'moby.buildkit.v1.Control/Solve']);
    traces.receive([span('too late')]);
    await history.update({ Ref: 'late', Finalize: true, Delete: false, Pinned: false });
    assert.equal((await namesOf()).length, 3);
    await history.sweep();
    // The log and the newer trace.
    assert.equal((await blobs(history)).length, 2);
  });

  void it('keeps what describes an image as long as a record names it', async (t) => {
    const { history, root } = open(t);
    const store = openContentStore(join(root, 'images'), openDatabase(join(root, 'images.db')));
    const put = async (mediaType: string, value: unknown): Promise<Descriptor> => {
      const bytes = Buffer.from(JSON.stringify(value));
      const writer = await store.writer(mediaType);
      await writer.write(bytes);
      return { mediaType, digest: await writer.commit({}), size: bytes.length };
    };
    const config = await put('application/vnd.oci.image.config.v1+json', { os: 'linux' });
    const layer = await put('application/vnd.oci.image.layer.v1.tar', 'not kept');
    const gone = { ...layer, digest: `sha256:${'2'.repeat(64)}` as Digest };
    const mediaType = 'application/vnd.oci.image.manifest.v1+json';
    const manifest = await put(mediaType, { schemaVersion: 2, mediaType, config, layers: [layer] });
    const index = await put('application/vnd.oci.image.index.v1+json', {
      schemaVersion: 2,
      manifests: [manifest, { ...gone, mediaType }],
    });
    const outcome = { results: new Map([['', [index]]]), images: store };
    await build(history, 'one', outcome);
    await build(history, 'two', outcome);
    const kept = [config, manifest, index].map(({ digest }) => digest);
    const isKept = (): boolean[] => kept.map((digest) => history.content.find(digest) !== undefined);

    await history.update({ Ref: 'one', Delete: true, Finalize: false, Pinned: false });
    assert.deepEqual(isKept(), [true, true, true]);
    assert.equal(history.content.find(layer.digest), undefined);
    assert.deepEqual(await readBlob(history.content, manifest), await readBlob(store, manifest));
    await history.update({ Ref: 'two', Delete: true, Finalize: false, Pinned: false });
    assert.deepEqual(isKept(), [false, false, false]);
  });

  void it('keeps a build with its log, across a restart', async (t) => {
    const { history, root } = open(t);
    const active = begin(history, 'one', new Map([['target', 'x']]));
    const first = StatusResponse.fromPartial({
      vertexes: [{ digest: 'a', cached: true }, { digest: 'b', started: TIME }, { digest: 'c' }],
      warnings: [{ vertex: 'b' }],
    });
    const second = StatusResponse.fromPartial({
      vertexes: [
        { digest: 'a', completed: TIME },
        { digest: 'b', started: TIME, completed: TIME },
      ],
      logs: [{ vertex: 'b', msg: Buffer.alloc(200_000, 'x') }],
    });
    // At a time: the second must not mix with the first.
    await Promise.all([active.log.write(first), active.log.write(second)]);
    const provenance: Descriptor = {
      mediaType: 'application/vnd.in-toto+json',
      digest: await putBlob(history, '{}'),
      size: 2,
      annotations: { 'in-toto.io/predicate-type': 'https://slsa.dev/provenance/v1' },
    };
    const image = {
      mediaType: 'application/vnd.oci.image.index.v1+json',
      digest: `sha256:${'1'.repeat(64)}` as Digest,
      size: 9,
    };
    await active.finish({
      response: new Map([['image.name', 'x']]),
      results: new Map([
        ['', [undefined, image]],
        ['linux/arm64', [provenance]],
      ]),
    });
    await history.close();

    const again = open(t, { root }).history;
    const [event] = await stored(again);
    const record = event.record;
    assert.ok(record);
    assert.equal(event.type, BuildHistoryEventType.COMPLETE);
    assert.deepEqual([...record.FrontendAttrs], [['target', 'x']]);
    assert.equal(record.Exporters[0].Type, 'image');
    assert.equal(record.error, undefined);
    assert.deepEqual(
      [record.numTotalSteps, record.numCachedSteps, record.numCompletedSteps, record.numWarnings],
      [3, 1, 2, 1],
    );
    assert.equal(record.ExporterResponse.get('image.name'), 'x');
    assert.deepEqual([...(record.Result?.Results.keys() ?? [])], [1n]);
    assert.equal(record.Result?.ResultDeprecated?.digest, image.digest);
    const attestation = record.Results.get('linux/arm64')?.Attestations[0];
    assert.equal(attestation?.annotations.get('in-toto.io/predicate-type'), 'https://slsa.dev/provenance/v1');
    assert.ok(again.content.find(provenance.digest));

    const log: StatusResponse[] = [];
    for await (const response of (await again.statusOf('one')) ?? []) log.push(response);
    assert.deepEqual(
      log.map((r) => Buffer.from(StatusResponse.encode(r).finish())),
      [first, second].map((r) => Buffer.from(StatusResponse.encode(r).finish())),
    );
    assert.equal(await again.statusOf('two'), undefined);
    const bytes = await readBlob(again.content, { digest: record.logs?.digest as Digest, size: 0 });
    assert.equal(Buffer.from(bytes).readUInt32LE(), StatusResponse.encode(first).finish().length);
    assert.equal(record.logs?.mediaType, 'application/vnd.buildkit.status.v0');
    assert.equal(record.logs?.size, BigInt(bytes.length));
  });

  void it('writes records after the answer, and at the latest for whoever asks or when it closes', async (t) => {
    const { history, root } = open(t);
    // It runs, so the records of the others wait.
    begin(history, 'running');
    let made = 0;
    const attest = async (): Promise<Map<string, Descriptor[]>> => {
      made++;
      const mediaType = 'application/vnd.in-toto+json';
      return new Map([['', [{ mediaType, digest: await putBlob(history, 'provenance'), size: 10 }]]]);
    };
    await build(history, 'one', { attest });
    await build(history, 'two', { attest });
    assert.equal(made, 0);
    assert.ok(await history.statusOf('one'));
    assert.equal(made, 1);
    const [{ record }] = await stored(history, { Ref: 'two' });
    assert.equal(record?.Result?.Attestations.length, 1);
    await build(history, 'three', { attest });
    await build(history, 'failing', {
      attest: async () => {
        throw new Error('no room');
      },
    });
    const finishing = begin(history, 'finishing').finish({ attest });
    await history.close();
    await finishing;
    const { history: again } = open(t, { root });
    const events = await stored(again);
    assert.deepEqual(refs(events), ['failing', 'finishing', 'one', 'three', 'two']);
    assert.deepEqual(
      events.map((event) => event.record?.Result?.Attestations.length ?? 0),
      [0, 1, 1, 1, 1],
    );
  });

  void it('keeps blobs of records that are not written yet from sweeps', async (t) => {
    const { history } = open(t);
    begin(history, 'running');
    const attest = async (): Promise<Map<string, Descriptor[]>> => {
      const mediaType = 'application/vnd.in-toto+json';
      return new Map([['', [{ mediaType, digest: await putBlob(history, 'provenance'), size: 10 }]]]);
    };
    await build(history, 'one', { attest });
    await build(history, 'two', { attest });
    await history.update({ Ref: 'one', Pinned: false, Delete: true, Finalize: false });
    const [{ record }] = await stored(history, { Ref: 'two' });
    const digest = record?.Result?.Attestations[0]?.digest as Digest;
    assert.ok(history.content.find(digest));
    await history.sweep();
    assert.ok(history.content.find(digest));
  });

  void it('keeps the error short in the record and whole in a blob', async (t) => {
    const { history } = open(t);
    const error = new BuildError(Code.NotFound, 'no such file', { details: [jsonDetail('errdefs.Vertex', { a: 1 })] });
    await build(history, 'bad', { error });
    const [{ record }] = await stored(history);
    assert.deepEqual(
      [record?.error?.code, record?.error?.message, record?.error?.details],
      [Code.NotFound, 'no such file', []],
    );
    assert.equal(record?.externalError?.mediaType, 'application/vnd.googeapis.google.rpc.status+proto');
    const bytes = await readBlob(history.content, { digest: record?.externalError?.digest as Digest, size: 0 });
    assert.deepEqual(decodeStatus(Status.decode(bytes)).findDetail('errdefs.Vertex'), { a: 1 });
  });

  void it('tells listeners what runs, what ended, and what happens', { timeout: 5000 }, async (t) => {
    const { history } = open(t);
    await build(history, 'old');
    const running = begin(history, 'running');
    const abort = new AbortController();
    const events = history.listen(BuildHistoryRequest.fromPartial({}), abort.signal);
    const next = async (): Promise<[number, string, number] | undefined> => {
      const { value, done } = await events.next();
      return done === true ? undefined : [value.type, value.record?.Ref ?? '', value.record?.Generation ?? 0];
    };
    const { STARTED, COMPLETE, DELETED } = BuildHistoryEventType;
    assert.deepEqual(await next(), [STARTED, 'running', 0]);
    assert.deepEqual(await next(), [COMPLETE, 'old', 0]);
    const waiting = next();
    await running.finish({});
    assert.deepEqual(await waiting, [COMPLETE, 'running', 0]);
    await history.update({ Ref: 'old', Pinned: true, Delete: false, Finalize: false });
    await history.update({ Ref: 'old', Pinned: false, Delete: true, Finalize: false });
    const given = begin(history, 'given up');
    await given.discard();
    await given.finish({});
    assert.deepEqual(await next(), [COMPLETE, 'old', 1]);
    assert.deepEqual(await next(), [DELETED, 'old', 0]);
    assert.deepEqual(await next(), [STARTED, 'given up', 0]);
    assert.deepEqual(await next(), [DELETED, 'given up', 0]);
    const last = next();
    abort.abort();
    assert.equal(await last, undefined);
    begin(history, 'third');
    assert.deepEqual(refs(await stored(history, { ActiveOnly: true })), ['third']);
    assert.deepEqual(refs(await stored(history)), ['third', 'running']);
    assert.deepEqual(history.content.openWrites, []);
  });

  void it('ends listeners when it closes, and drops one that stays behind', { timeout: 5000 }, async (t) => {
    const { history } = open(t);
    const slow = history.listen(BuildHistoryRequest.fromPartial({}));
    const started = slow.next();
    await begin(history, 'first').discard();
    await started;
    for (let i = 0; i < 600; i++) await begin(history, `build ${i}`).discard();
    await assert.rejects(async () => {
      for await (const event of slow) assert.ok(event);
    }, isCode(Code.ResourceExhausted));
    const unfinished = begin(history, 'unfinished');
    await unfinished.log.write(StatusResponse.fromPartial({}));
    const idle = history.listen(BuildHistoryRequest.fromPartial({}));
    assert.equal((await idle.next()).value?.record?.Ref, 'unfinished');
    const more = idle.next();
    await history.close();
    await unfinished.finish({});
    assert.equal((await more).value?.type, BuildHistoryEventType.DELETED);
    assert.equal((await idle.next()).done, true);
    assert.deepEqual(history.content.openWrites, []);
    assert.throws(() => begin(history, 'late'), isCode(Code.Unavailable));
  });

  void it('deletes a record that somebody listens to when he leaves', async (t) => {
    const { history } = open(t);
    await build(history, 'watched');
    const request = BuildHistoryRequest.fromPartial({ Ref: 'watched' });
    const listener = history.listen(request);
    assert.equal((await listener.next()).value?.record?.Ref, 'watched');
    await history.update({ Ref: 'watched', Pinned: false, Delete: true, Finalize: false });
    assert.ok(await history.statusOf('watched'));
    assert.deepEqual(await stored(history), []);
    await assert.rejects(history.listen(request).next(), /ref watched is deleted: file does not exist/);
    await listener.return(undefined);
    assert.equal(await history.statusOf('watched'), undefined);
    await history.sweep();
    assert.deepEqual(await blobs(history), []);
  });

  void it('does not know other refs', async (t) => {
    const { history } = open(t);
    for (const Delete of [true, false]) {
      await assert.rejects(history.update({ Ref: 'x', Pinned: true, Delete, Finalize: false }), (error) => {
        assert.ok(isCode(Code.NotFound)(error));
        assert.match(String(error), /failed to retrieve ref x: file does not exist/);
        return true;
      });
    }
    await history.update({ Ref: 'x', Pinned: false, Delete: false, Finalize: true });
  });

  void it('deletes what is beyond both limits, and blobs that nobody names', async (t) => {
    const { history, root } = open(t, { maxEntries: 1 });
    const error = new BuildError(Code.Unknown, 'same');
    for (const ref of ['pinned', 'older', 'newer']) await build(history, ref, { error });
    await history.update({ Ref: 'pinned', Pinned: true, Delete: false, Finalize: false });
    await history.sweep();
    assert.equal((await stored(history)).length, 3, 'none is too old');
    await history.close();

    const strict = open(t, { root, maxEntries: 1, maxAgeNs: 0n }).history;
    const stray = await putBlob(strict, 'stray');
    const active = begin(strict, 'active');
    const early = await putBlob(strict, 'early');
    await strict.sweep();
    assert.deepEqual(refs(await stored(strict, { Ref: '', Filter: [] })), ['active', 'newer', 'pinned']);
    // Two logs, two traces, the error that both have, and what may be of the build that runs.
    assert.equal((await blobs(strict)).length, 6);
    assert.equal(strict.content.find(stray), undefined);
    assert.ok(strict.content.find(early));
    await active.discard();
    await strict.update({ Ref: 'newer', Pinned: false, Delete: true, Finalize: false });
    assert.equal((await blobs(strict)).length, 3);
    assert.equal(strict.content.find(early), undefined);
  });

  void it(
    'goes back below its limits by itself when builds end, and its database shrinks',
    { timeout: 60_000 },
    async (t) => {
      const { history, root } = open(t, { maxEntries: 2, maxAgeNs: 0n });
      const database = join(root, 'history.db');
      // Arguments of a client are kept in the record.
      for (let i = 0; i < 20; i++) {
        const active = begin(history, `large-${i}`, new Map([['build-arg:X', 'x'.repeat(100_000)]]));
        await active.finish({});
      }
      const size = (): number => statSync(`${database}-wal`).size + statSync(database).size;
      // Of the two megabytes that were written, on a slow machine some are gone already.
      while (size() > 700_000) await setTimeout(20, undefined, { signal: t.signal });
      assert.equal((await stored(history)).length, 2);
    },
  );

  void it('drops damaged rows and records without their log at start', async (t) => {
    const { history, root } = open(t);
    for (const ref of ['good', 'logless', 'damaged']) await build(history, ref);
    const [{ record }] = await stored(history, { Ref: 'logless' });
    await history.content.delete(record?.logs?.digest as Digest);
    await history.close();
    const db = openDatabase(join(root, 'history.db'));
    db.run('UPDATE history_record SET record = ? WHERE ref = ?', Buffer.from([0xff, 0xff, 1]), 'damaged');
    await db.close();
    const again = open(t, { root }).history;
    // Asked for one by one, before all are read.
    assert.ok(await again.statusOf('good'));
    for (const ref of ['logless', 'damaged', 'unknown']) assert.equal(await again.statusOf(ref), undefined, ref);
    assert.deepEqual(refs(await stored(again)), ['good']);
    for (const ref of ['logless', 'damaged', 'unknown']) assert.equal(await again.statusOf(ref), undefined, ref);
  });

  void it('says when it could not write, without hiding the error of the build', async (t) => {
    const { history, root } = open(t);
    const noLog = begin(history, 'a');
    const alsoNone = begin(history, 'b');
    rmSync(join(root, 'history-content'), { recursive: true });
    writeFileSync(join(root, 'history-content'), '');
    for (const active of [noLog, alsoNone]) await active.log.write(StatusResponse.fromPartial({}));
    await assert.rejects(noLog.finish({}), isCode(Code.Internal));
    await alsoNone.finish({ error: new BuildError(Code.NotFound, 'no such file') });
    const events = await stored(history);
    assert.deepEqual(
      events.map(({ record }) => [record?.error?.code, record?.logs]),
      [
        [Code.Internal, undefined],
        [Code.NotFound, undefined],
      ],
    );
  });
});
