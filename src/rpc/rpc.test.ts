import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer as listenOn } from 'node:net';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { BuildError, Code, Deferred, jsonDetail } from '../base/index.ts';
import {
  addHealth,
  bytesMethod,
  bytesType,
  createChannel,
  createServer,
  dial,
  duplexFromCall,
  duplexFromServerCall,
  linkFromCall,
  linkFromServerCall,
  duplexPair,
  oneMethod,
} from './index.ts';
import type { BidiHandler, Bytes, Channel, Server, ServerCall, UnaryHandler } from './index.ts';
import { HealthDefinition } from '../proto/health.pb.ts';
import { percentDecode, statusFields, parseStatusFields } from './status.ts';

const types = { requestType: bytesType, responseType: bytesType };
const echo = bytesMethod({ name: 'Echo', requestStream: false, responseStream: false, ...types } as const);
const stream = bytesMethod({ name: 'Stream', requestStream: true, responseStream: true, ...types } as const);
const service = { fullName: 'test.Echo', methods: { echo, stream } };

async function connected(
  handlers: { echo?: UnaryHandler<Bytes, Bytes>; stream?: BidiHandler<Bytes, Bytes> },
  work: (channel: Channel, server: Server) => Promise<void>,
): Promise<void> {
  const server = createServer();
  server.add(oneMethod(service, 'echo', echo), { echo: handlers.echo } as never);
  server.add(oneMethod(service, 'stream', stream), { stream: handlers.stream } as never);
  const [a, b] = duplexPair();
  const served = server.serve(a);
  const channel = createChannel(b);
  try {
    await work(channel, server);
  } finally {
    await channel.close();
    await served;
  }
}

const unary = (channel: Channel, data: Uint8Array = Buffer.from('x'), options = {}): Promise<Bytes> =>
  channel.unary(service, echo, { data }, options);

test('a unary call carries bytes and repeated metadata', async () => {
  let seen: readonly string[] | undefined;
  await connected(
    {
      echo: async (request, call) => {
        seen = call.metadata.get('dir');
        return request;
      },
    },
    async (channel) => {
      const data = Buffer.alloc(3 << 20, 7);
      const out = await unary(channel, data, {
        metadata: [
          ['dir', 'a, b'],
          ['dir', 'c'],
        ],
      });
      assert.ok(data.equals(out.data));
      assert.deepEqual(seen, ['a, b', 'c']);
    },
  );
});

test('what waits for a slow reader is not lost when the handler has ended', async () => {
  const piece = Buffer.alloc(900_000, 7);
  const pieces = 5; // More than a window holds: the last part, and the status, wait in the server.
  const ended = new Deferred();
  const handler: BidiHandler<Bytes, Bytes> = async (_input, out) => {
    for (let i = 0; i < pieces; i++) await out.write({ data: piece });
    ended.resolve();
  };
  await connected({ stream: handler }, async (channel) => {
    const call = channel.stream(service, stream);
    await ended.promise;
    await delay(500);
    let size = 0;
    for await (const { data } of call) size += data.length;
    assert.equal(size, pieces * piece.length);
  });
});

test('an error keeps code, text and unknown details over two hops', async () => {
  const detail = { typeUrl: 'example.com/unknown', value: Buffer.from([0, 255, 1]) };
  const error = new BuildError(Code.NotFound, 'no such 100% thing: ü\n', {
    details: [detail, jsonDetail('errdefs.Vertex', { digest: 'sha256:1' })],
  });
  await connected({ echo: async () => Promise.reject(error) }, (inner) =>
    connected({ echo: () => unary(inner) }, async (outer) => {
      await assert.rejects(unary(outer), (e: BuildError) => {
        assert.equal(e.code, Code.NotFound);
        assert.equal(e.message, error.message);
        const unknown = e.details.find((d) => d.typeUrl === detail.typeUrl);
        assert.ok(unknown !== undefined && detail.value.equals(unknown.value));
        // Once, however often it passed a door of this process.
        assert.equal(e.details.filter((d) => d.typeUrl.includes('stack.Stack')).length, 1);
        const { pid, frames } = e.findDetail('stack.Stack') as { pid: number; frames: { File: string }[] };
        assert.equal(pid, process.pid);
        assert.match(frames[0].File, /rpc\.test\.ts$/);
        assert.deepEqual(e.findDetail('errdefs.Vertex'), { digest: 'sha256:1' });
        return true;
      });
    }),
  );
});

test('a huge error arrives cut, without its stacks', async () => {
  const error = new BuildError(Code.Internal, 'é'.repeat(200_000), {
    details: [jsonDetail('stack.Stack', 's'.repeat(400_000)), jsonDetail('errdefs.Vertex', { digest: 'd' })],
  });
  await connected({ echo: async () => Promise.reject(error) }, async (channel) => {
    await assert.rejects(unary(channel), (e: BuildError) => {
      assert.equal(e.code, Code.Internal);
      assert.match(e.message, /^é{1000}/);
      assert.deepEqual(
        e.details
          .filter((d) => d.value.length < 100_000)
          .map((d) => d.typeUrl)
          .filter((url) => !url.includes('stack')),
        ['github.com/moby/buildkit/errdefs.Vertex+json'],
      );
      return true;
    });
  });
});

test('status headers: text survives percent encoding and broken escapes', () => {
  const text = 'tab\tpercent % ü 漢\u0000';
  assert.equal(parseStatusFields(statusFields(new BuildError(Code.Aborted, text)))?.error?.message, text);
  assert.equal(percentDecode('100%, %zz %41'), '100%, %zz A');
  assert.deepEqual(statusFields(new BuildError(0 as Code, 'x')).slice(0, 2), ['grpc-status', '2']);
  assert.equal(Buffer.byteLength(statusFields(new Error('漢'.repeat(9000)))[3]) <= 6144, true);
});

test('missing handlers and services are Unimplemented, bad messages harm only their call', async () => {
  await connected({ echo: async (r) => r }, async (channel) => {
    const missing = channel.stream(service, stream);
    await assert.rejects(missing.read(), { code: Code.Unimplemented });
    const bad = {
      ...echo,
      requestType: { encode: () => ({ finish: () => Buffer.from([0x0a, 200]) }), decode: () => ({}) },
    };
    await assert.rejects(channel.unary(service, bad as never, {}), { code: Code.InvalidArgument });
    const compressed = channel.unary({ fullName: 'nobody.Home', methods: {} }, echo, { data: Buffer.alloc(1) });
    await assert.rejects(compressed, { code: Code.Unimplemented });
    assert.equal(Buffer.from((await unary(channel)).data).toString(), 'x');
  });
});

test('messages beyond 16 MiB are refused where they are sent', async () => {
  await connected({ echo: async (r) => ({ data: Buffer.alloc(r.data.length * 17) }) }, async (channel) => {
    await assert.rejects(unary(channel, Buffer.alloc(17 << 20)), { code: Code.ResourceExhausted });
    await assert.rejects(unary(channel, Buffer.alloc(1 << 20)), { code: Code.ResourceExhausted });
    assert.equal((await unary(channel, Buffer.alloc(10))).data.length, 170);
  });
});

test('the client cancels: the handler hears it', async () => {
  const heard = new Deferred<unknown>();
  const started = new Deferred();
  await connected(
    {
      echo: (_r, call) =>
        new Promise((_resolve, reject) => {
          started.resolve();
          call.signal.addEventListener('abort', () => {
            heard.resolve(call.signal.reason);
            reject(call.signal.reason as Error);
          });
        }),
    },
    async (channel) => {
      const abort = new AbortController();
      const call = unary(channel, undefined, { signal: abort.signal });
      call.catch(() => {});
      await started.promise;
      abort.abort();
      await assert.rejects(call, { code: Code.Canceled });
      assert.equal(((await heard.promise) as BuildError).code, Code.Canceled);
    },
  );
});

test('a deadline ends both sides', async () => {
  const heard = new Deferred<unknown>();
  await connected(
    {
      stream: async (_in: unknown, _out: unknown, call: ServerCall) => {
        await new Promise<void>((resolve) => call.signal.addEventListener('abort', () => resolve()));
        heard.resolve(call.signal.reason);
      },
    },
    async (channel) => {
      const call = channel.stream(service, stream, { timeoutMs: 30 });
      await assert.rejects(call.read(), { code: Code.DeadlineExceeded });
      assert.ok(heard.promise);
      assert.ok([Code.DeadlineExceeded, Code.Canceled].includes(((await heard.promise) as BuildError).code as never));
    },
  );
});

test('a lost connection aborts the handler and fails the caller', async () => {
  const heard = new Deferred();
  const started = new Deferred();
  const server = createServer();
  server.add(service, {
    stream: async (_in: unknown, _out: unknown, call: ServerCall) => {
      call.signal.addEventListener('abort', () => heard.resolve());
      started.resolve();
      await heard.promise;
    },
  } as never);
  const [a, b] = duplexPair();
  const served = server.serve(a);
  const channel = createChannel(b);
  const call = channel.stream(service, stream);
  await started.promise;
  a.destroy();
  await heard.promise;
  await assert.rejects(call.read(), { code: Code.Unavailable });
  await served;
  await channel.closed;
  assert.throws(() => channel.stream(service, stream), { code: Code.Unavailable });
});

test('half-close: the server reads to the end and answers then', async () => {
  await connected(
    {
      stream: async (input, out) => {
        let sum = 0;
        for await (const m of input) sum += m.data.length;
        await out.write({ data: Buffer.from(String(sum)) });
      },
    },
    async (channel) => {
      const call = channel.stream(service, stream);
      for (let i = 0; i < 10_000; i++) await call.write({ data: Buffer.alloc(100) });
      call.end();
      assert.equal(Buffer.from((await call.read())?.data ?? []).toString(), '1000000');
      assert.equal(await call.read(), undefined);
    },
  );
});

test('a reader that does not read stops the writer, and other calls go on', async () => {
  let sent = 0;
  const gate = new Deferred();
  await connected(
    {
      echo: async (r) => r,
      stream: async (input) => {
        await gate.promise;
        while ((await input.readBatch()) !== undefined);
      },
    },
    async (channel) => {
      const call = channel.stream(service, stream);
      const chunk = Buffer.alloc(64 << 10);
      const writing = (async () => {
        for (; sent < 40 << 20; sent += chunk.length) await call.write({ data: chunk });
        call.end();
      })();
      await delay(150);
      assert.ok(sent < 16 << 20, `${sent} bytes were taken though nobody reads`);
      await unary(channel);
      gate.resolve();
      await writing;
      assert.equal(await call.read(), undefined);
      assert.equal(sent, 40 << 20);
    },
  );
});

test('garbage, silence and an early end do not harm the server', async () => {
  await connected({ echo: async (r) => r }, async (channel, server) => {
    for (const bytes of ['GET / HTTP/1.1\r\n\r\n', '', '\0'.repeat(5000)]) {
      const [a, b] = duplexPair();
      const served = server.serve(a);
      b.on('error', () => {});
      b.resume();
      b.end(bytes);
      await served;
    }
    assert.equal((await unary(channel)).data.length, 1);
  });
});

test('a tunnel inside a tunnel carries calls, and its end ends them', async () => {
  const inner = createServer();
  inner.add(oneMethod(service, 'echo', echo), {
    echo: async (r: Bytes) => ({ data: Buffer.concat([r.data, r.data]) }),
  });
  addHealth(inner);
  let hops = 0;
  const tunnel: BidiHandler<Bytes, Bytes> = async (input, out, call) => {
    // Either way of carrying it.
    if (hops++ % 2 === 0) return inner.serve(linkFromServerCall(input, out, call.signal));
    const { duplex, finished } = duplexFromServerCall(input, out, call.signal);
    void inner.serve(duplex);
    await finished;
  };
  inner.add(oneMethod(service, 'stream', stream), { stream: tunnel });
  await connected({ stream: tunnel }, async (channel) => {
    const first = createChannel(linkFromCall(channel.stream(service, stream)));
    const second = createChannel(duplexFromCall(first.stream(service, stream)));
    const big = Buffer.alloc(5 << 20, 3);
    const [one, two] = await Promise.all([unary(first, big), unary(second, big)]);
    assert.equal(one.data.length, 10 << 20);
    assert.equal(two.data.length, 10 << 20);
    const health = await second.unary(HealthDefinition, HealthDefinition.methods.check, { service: '' });
    assert.equal(health.status, 1);
    await first.close();
    await second.closed;
    await assert.rejects(unary(second), { code: Code.Unavailable });
  });
});

void test('on a bare socket both sides may send in bulk at once; a peer that goes away fails the calls', async () => {
  const scratch = mkdtempSync(join(tmpdir(), 'rpc-'));
  const path = join(scratch, 'sock');
  const inner = createServer();
  const answer = Buffer.alloc(256 << 10, 5);
  inner.add(oneMethod(service, 'stream', stream), {
    stream: async (input: AsyncIterable<Bytes>, out: { write(m: Bytes): Promise<void> }) => {
      let asked = 0;
      for await (const { data } of input) {
        for (asked += data.length; asked >= answer.length; asked -= answer.length) await out.write({ data: answer });
      }
    },
  } as never);
  const sockets: Socket[] = [];
  const listener = listenOn((socket) => {
    sockets.push(socket);
    void inner.serve(socket);
  });
  await new Promise<void>((resolve) => void listener.listen(path, resolve));
  const channel = createChannel(await dial(`unix://${path}`));
  const rounds = 120;
  const oneCall = async (): Promise<number> => {
    const call = channel.stream(service, stream);
    const sending = (async () => {
      for (let i = 0; i < rounds; i++) await call.write({ data: answer });
      call.end();
    })();
    let received = 0;
    for await (const { data } of call) received += data.length;
    await sending;
    return received;
  };
  try {
    assert.deepEqual(await Promise.all([oneCall(), oneCall(), oneCall()]), Array(3).fill(rounds * answer.length));
    const left = channel.stream(service, stream);
    await left.write({ data: Buffer.alloc(0) });
    for (const socket of sockets) socket.destroy();
    await assert.rejects(left.read(), { code: Code.Unavailable });
    await channel.closed;
    assert.throws(() => channel.stream(service, stream), { code: Code.Unavailable });
  } finally {
    await channel.close();
    listener.close();
    await inner.close(0);
    rmSync(scratch, { recursive: true });
  }
});
