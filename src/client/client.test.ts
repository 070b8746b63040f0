import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { after, test } from 'node:test';
import { BuildError, Code, Deferred, jsonDetail } from '../base/index.ts';
import type { Digest } from '../oci/types.ts';
import { ControlDefinition } from '../proto/control.pb.ts';
import type { SolveRequest as WireRequest } from '../proto/control.pb.ts';
import { LLBBridgeDefinition } from '../proto/gateway.pb.ts';
import type { ReturnRequest } from '../proto/gateway.pb.ts';
import { Op } from '../proto/ops.pb.ts';
import {
  bytesMethod,
  createChannel,
  createServer,
  decodeStatus,
  linkFromServerCall,
  duplexPair,
} from '../rpc/index.ts';
import {
  fetchTokenAuthority,
  provideAuth,
  sendFile,
  SessionContent,
  SessionRegistry,
  verifyTokenAuthority,
} from '../session/index.ts';
import type { SessionCaller } from '../session/index.ts';
import { Client, connect } from './index.ts';
import { findInIndex, nameInLayout } from './layout-index.ts';
import { readLayoutIndex } from '../content/index.ts';

const scratch = mkdtempSync(join(tmpdir(), 'client-'));
after(() => rmSync(scratch, { recursive: true }));

type Answer = { response?: [string, string][]; wait?: Promise<unknown> };

/** A daemon of which a test writes what Solve does. */
async function withDaemon(
  solve: (request: WireRequest, caller: SessionCaller) => Promise<Answer>,
  work: (client: Client, seen: { returned: ReturnRequest[]; buildIds: (string | undefined)[] }) => Promise<void>,
): Promise<void> {
  const sessions = new SessionRegistry();
  const server = createServer();
  const returned = new Deferred<ReturnRequest>();
  const seen = { returned: [] as ReturnRequest[], buildIds: [] as (string | undefined)[] };
  const { session, ...others } = ControlDefinition.methods;
  const control = { fullName: ControlDefinition.fullName, methods: { ...others, session: bytesMethod(session) } };
  server.add(control, {
    session: async (input, output, call) => {
      await sessions.handle(call.metadata, linkFromServerCall(input, output, call.signal));
    },
    solve: async (request) => {
      const caller = await sessions.get(request.Session);
      const answer = await solve(request, caller);
      if (request.Definition === undefined && request.Frontend === '') {
        const r = await returned.promise;
        if (r.error !== undefined) throw decodeStatus(r.error);
      }
      return { ExporterResponse: new Map(answer.response) };
    },
    status: async (_request, out) => {
      await out.write({ vertexes: [], statuses: [], logs: [], warnings: [] });
    },
    listWorkers: async () => ({ record: [] }),
    diskUsage: async () => {
      throw new BuildError(Code.InvalidArgument, 'bad filter');
    },
  });
  const cap = (ID: string) => ({
    ID,
    Enabled: true,
    Deprecated: false,
    DisabledReason: '',
    DisabledReasonMsg: '',
    DisabledAlternative: '',
  });
  server.add(LLBBridgeDefinition, {
    ping: async (_request, call) => {
      seen.buildIds.push(call.metadata.get('buildkit-controlapi-buildid')?.[0]);
      return { FrontendAPICaps: [cap('return')], LLBCaps: [], Workers: [] };
    },
    solve: async () => ({
      ref: '',
      result: {
        result: { $case: 'ref', value: { id: 'ref1', def: undefined } },
        metadata: new Map([['k', Buffer.from('v')]]),
        attestations: new Map(),
      },
    }),
    return: async (request) => {
      seen.returned.push(request);
      returned.resolve(request);
      return {};
    },
  });
  const [a, b] = duplexPair();
  const served = server.serve(a);
  const client = new Client(createChannel(b));
  try {
    await work(client, seen);
  } finally {
    await client.close();
    await served;
  }
}

void test('a solve lends what it was given: stores, targets, logins; its status and answers come back', async () => {
  const layout = join(scratch, 'layout');
  const bytes = Buffer.from('blob');
  const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}` as Digest;
  mkdirSync(join(layout, 'blobs/sha256'), { recursive: true });
  writeFileSync(join(layout, 'blobs/sha256', digest.slice(7)), bytes);
  const home = process.env.DOCKER_CONFIG;
  process.env.DOCKER_CONFIG = join(scratch, 'docker');
  const written: Buffer[] = [];
  let statuses = 0;
  const solve = async (request: WireRequest, caller: SessionCaller): Promise<Answer> => {
    assert.equal(request.Frontend, 'dockerfile.v0');
    assert.equal(request.ExporterDeprecated, 'tar');
    const store = new SessionContent(caller, 'oci:base');
    const reader = await store.reader({ digest, size: 4 });
    assert.equal(Buffer.from(await reader.read(1, 3)).toString(), 'lob');
    assert.equal(Buffer.from(await reader.read(2, 0)).toString(), '');
    assert.equal(Buffer.from(await store.small(digest, 4)).toString(), 'blob');
    await assert.rejects(store.small(digest, 3), { message: `rejecting 4 byte manifest ${digest}` });
    await assert.rejects(store.info(digest.replace(/.$/, digest.endsWith('0') ? '1' : '0') as Digest), /not found/);
    await assert.rejects(store.info('../../etc/passwd' as Digest), /invalid checksum digest/);
    await assert.rejects(new SessionContent(caller, 'oci:other').info(digest), /unknown store/);
    const writer = await store.writer('w1');
    const more = Buffer.from('more');
    await writer.write(more);
    await writer.commit({ digest: `sha256:${createHash('sha256').update(more).digest('hex')}` as Digest, size: 4 });
    const key = await fetchTokenAuthority(caller, 'example.com');
    assert.ok(key !== undefined);
    assert.equal(await verifyTokenAuthority(caller, 'example.com', key), true);
    const sink = sendFile(caller, { exporterId: '0' }, new Map());
    await sink.write(Buffer.from('tarball'));
    await sink.close();
    return { response: [['a', 'b']] };
  };
  const open = () =>
    Promise.resolve(new Writable({ write: (chunk: Buffer, _e, done) => done(void written.push(chunk) as never) }));
  try {
    await withDaemon(solve, async (client) => {
      const result = await client.solve({
        frontend: 'dockerfile.v0',
        exports: [{ type: 'tar', attrs: new Map(), output: open }],
        ociStores: new Map([['base', layout]]),
        attachables: [provideAuth()],
        onStatus: () => statuses++,
      });
      assert.deepEqual([...result.exporterResponse], [['a', 'b']]);
      assert.equal(Buffer.concat(written).toString(), 'tarball');
      assert.equal(statuses, 1);
    });
  } finally {
    if (home === undefined) delete process.env.DOCKER_CONFIG;
    else process.env.DOCKER_CONFIG = home;
  }
});

void test('a build by function returns its result under the build id, and its error reaches the caller', async () => {
  await withDaemon(
    async () => ({}),
    async (client, seen) => {
      await client.build(async (gateway) => gateway.solve({ frontend: 'x' }), { ref: 'build1' });
      const value = seen.returned[0].result;
      assert.equal(value?.result?.$case === 'ref' && value.result.value.id, 'ref1');
      assert.equal(Buffer.from(value?.metadata.get('k') ?? '').toString(), 'v');
      assert.deepEqual(seen.buildIds, ['build1']);
    },
  );
  await withDaemon(
    async () => ({}),
    async (client) => {
      const failing = client.build(
        async () => {
          throw new BuildError(Code.Unknown, 'no such thing', {
            details: [jsonDetail('errdefs.Vertex', { digest: 'd' })],
          });
        },
        { ref: 'build2' },
      );
      await assert.rejects(failing, (error: BuildError) => {
        assert.equal(error.message, 'failed to solve: no such thing');
        assert.deepEqual(error.findDetail('errdefs.Vertex'), { digest: 'd' });
        return true;
      });
    },
  );
});

void test('errors name their call and their code; wrong requests do not reach the daemon', async () => {
  await withDaemon(
    async () => ({}),
    async (client) => {
      await assert.rejects(client.diskUsage(), { message: 'failed to call diskusage: InvalidArgument: bad filter' });
      await assert.rejects(client.solve({}), /invalid empty definition/);
      const image = { type: 'image', attrs: new Map(), outputDir: 'x' };
      await assert.rejects(
        client.solve({ frontend: 'x', exports: [image] }),
        /output directory is not supported by image exporter/,
      );
      const source = Op.encode({
        inputs: [],
        op: { $case: 'source', value: { identifier: 'local://ctx', attrs: new Map() } },
        platform: undefined,
        constraints: undefined,
      }).finish();
      await assert.rejects(
        client.solve({ definition: { def: [source], metadata: new Map(), Source: undefined } }),
        /local directory ctx not enabled/,
      );
    },
  );
});

void test('cancelling ends a solve that hangs', async () => {
  await withDaemon(
    () => new Promise(() => {}),
    async (client) => {
      const stop = new AbortController();
      const solving = client.solve({ frontend: 'x', signal: stop.signal });
      setTimeout(() => stop.abort(), 20);
      await assert.rejects(solving, (error: BuildError) => error.isCanceled);
    },
  );
});

void test('addresses that cannot be used say why', async () => {
  await assert.rejects(connect('docker-container://x'), /needs a connection helper/);
  await assert.rejects(connect('fd://3'), /listen/);
  await assert.rejects(connect('foo'), /expected format protocol:\/\/address/);
  await assert.rejects(connect('unix:///nowhere/at/all.sock'), {
    message:
      'connection error: desc = "transport: Error while dialing: dial unix /nowhere/at/all.sock: connect: no such file or directory"',
  });
  await assert.rejects(connect(`unix:///${'long'.repeat(30)}`), /: connect: invalid argument"$/);
});

void test('a name in a layout moves to the newest image', () => {
  const directory = join(scratch, 'named');
  const image = (n: number) => ({ mediaType: 'm', digest: `sha256:${n}` as Digest, size: n });
  nameInLayout(directory, image(1), [{ name: 'docker.io/library/a:1' }, { tag: 'latest' }]);
  nameInLayout(directory, image(2), [{ name: 'docker.io/library/a:1' }]);
  const index = readLayoutIndex(directory);
  assert.equal(findInIndex(index, 'docker.io/library/a:1')?.digest, 'sha256:2');
  assert.equal(findInIndex(index, '1')?.digest, 'sha256:2');
  assert.equal(findInIndex(index, 'latest')?.digest, 'sha256:1');
  assert.equal(index.manifests.length, 2);
  assert.match(readFileSync(join(directory, 'oci-layout'), 'utf8'), /1\.0\.0/);
});

void test('of several cache exports each layout names the manifest that it got', async () => {
  const manifestOf = (n: number): Buffer =>
    Buffer.from(JSON.stringify({ config: { mediaType: 'application/vnd.buildkit.cacheconfig.v0', n }, layers: [] }));
  const digestOf = (bytes: Buffer): Digest => `sha256:${createHash('sha256').update(bytes).digest('hex')}` as Digest;
  const folder = (name: string): string => join(scratch, `caches-${name}`);
  const exports = ['first', 'second', 'none'].map((name) => ({
    type: 'local',
    attrs: new Map([['dest', folder(name)]]),
  }));
  const put = async (caller: SessionCaller, name: string, bytes: Buffer): Promise<void> => {
    const digest = digestOf(bytes);
    const store = new SessionContent(caller, `local:${folder(name)}`);
    // As the daemon does it, which does not send what is there.
    if ((await store.info(digest).catch(() => undefined)) !== undefined) return;
    const writer = await store.writer(digest, new AbortController().signal);
    await writer.write(bytes);
    await writer.commit({ digest, size: bytes.length });
  };
  await withDaemon(
    async (_request, caller) => {
      for (const [name, n] of [
        ['first', 1],
        ['second', 2],
      ] as const) {
        await put(caller, name, Buffer.from(`layer ${n}`));
        await put(caller, name, manifestOf(n));
      }
      const told = { mediaType: 'told', digest: digestOf(manifestOf(2)), size: manifestOf(2).length };
      return { response: [['cache.manifest', JSON.stringify(told)]] };
    },
    async (client) => {
      // The second time everything is there.
      for (let time = 0; time < 2; time++) {
        await client.solve({ frontend: 'x', cacheExports: exports });
        assert.equal(findInIndex(readLayoutIndex(folder('first')), 'latest')?.digest, digestOf(manifestOf(1)));
        assert.deepEqual(findInIndex(readLayoutIndex(folder('second')), 'latest')?.mediaType, 'told');
        assert.throws(() => readLayoutIndex(folder('none')));
        rmSync(join(folder('first'), 'index.json'));
      }
    },
  );
});
