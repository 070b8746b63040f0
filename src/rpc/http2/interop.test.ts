/** Node's own HTTP/2, which is nghttp2, as the other end: both roles. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, constants, performServerHandshake } from 'node:http2';
import type { ClientHttp2Session, ServerHttp2Stream } from 'node:http2';
import { test } from 'node:test';
import { duplexPair } from '../pair.ts';
import { DuplexLink, Http2Connection } from './index.ts';
import type { Fields, Http2Stream, StreamEvents } from './index.ts';

/** Every character that a field may have, so that every code of Huffman's is read. */
const CHARACTERS = Array.from({ length: 0x7f - 0x20 }, (_, i) => String.fromCharCode(0x20 + i))
  .concat(Array.from({ length: 0x80 }, (_, i) => String.fromCharCode(0x80 + i)))
  .join('');

interface Collected {
  readonly events: StreamEvents;
  readonly chunks: Uint8Array[];
  trailers: Fields;
  status: number;
  readonly closed: Promise<number | undefined>;
}

function collect(stream: () => Http2Stream, onEnd: () => void = () => {}): Collected {
  let close!: (code: number | undefined) => void;
  const closed = new Promise<number | undefined>((resolve) => (close = resolve));
  const out: Collected = {
    chunks: [],
    trailers: [],
    status: 0,
    closed,
    events: {
      response: (_fields, status) => (out.status = status),
      trailers: (fields) => (out.trailers = fields),
      data: (chunk) => {
        out.chunks.push(chunk);
        stream().taken(chunk.length);
      },
      end: onEnd,
      room() {},
      close,
    },
  };
  return out;
}

async function withOurServer(
  onRequest: (stream: Http2Stream, fields: Fields) => void,
  work: (session: ClientHttp2Session) => Promise<void>,
): Promise<void> {
  const [ours, theirs] = duplexPair();
  const connection = new Http2Connection(new DuplexLink(ours), onRequest);
  const session = connect('http://localhost', { createConnection: () => theirs });
  session.on('error', () => {});
  await work(session);
  session.destroy();
  await connection.closed;
}

void test('a client of nghttp2: large bodies both ways, all characters, trailers', async () => {
  const body = Buffer.alloc(9 << 20, 'abc');
  let fields: Fields = [];
  const serve = (stream: Http2Stream, request: Fields): void => {
    fields = request;
    const seen = collect(
      () => stream,
      () => {
        stream.respond([':status', '200', 'content-type', 'application/grpc']);
        stream.write(seen.chunks);
        stream.end(['grpc-status', '0', 'long', 'x'.repeat(50_000)]);
      },
    );
    stream.events = seen.events;
  };
  await withOurServer(serve, async (session) => {
    // Several in turns: tables and windows are the connection's.
    for (let i = 0; i < 3; i++) {
      const call = session.request({ ':method': 'POST', ':path': `/${i}`, characters: CHARACTERS, many: ['a', 'b'] });
      call.end(body);
      const trailers = once(call, 'trailers') as Promise<[Record<string, string>]>;
      const chunks: Buffer[] = [];
      for await (const chunk of call) chunks.push(chunk as Buffer);
      assert.ok(Buffer.concat(chunks).equals(body));
      const [{ long, 'grpc-status': status }] = await trailers;
      assert.deepEqual([long.length, status], [50_000, '0']);
      const names = fields.filter((_, at) => at % 2 === 0);
      assert.equal(fields[names.indexOf('characters') * 2 + 1], CHARACTERS);
      assert.equal(names.filter((name) => name === 'many').length, 2);
      assert.equal(fields[names.indexOf(':path') * 2 + 1], `/${i}`);
    }
  });
});

void test('a client of nghttp2: resets and pings both ways, settings that change, an end in peace', async () => {
  const streams: Http2Stream[] = [];
  const codes: Array<number | undefined> = [];
  const serve = (stream: Http2Stream): void => {
    streams.push(stream);
    const seen = collect(() => stream);
    stream.events = seen.events;
    void seen.closed.then((code) => codes.push(code));
  };
  await withOurServer(serve, async (session) => {
    await once(session, 'remoteSettings');
    assert.equal(session.remoteSettings.maxConcurrentStreams, 4096);
    await new Promise<void>((resolve, reject) => session.ping((error) => (error ? reject(error) : resolve())));
    const cancelled = session.request({ ':method': 'POST' });
    cancelled.on('error', () => {});
    const next = session.request({ ':method': 'POST' });
    next.on('error', () => {});
    await new Promise<void>((resolve, reject) => session.ping((error) => (error ? reject(error) : resolve())));
    cancelled.close(constants.NGHTTP2_CANCEL);
    streams[1].reset(constants.NGHTTP2_REFUSED_STREAM);
    await new Promise((resolve) => next.once('close', resolve));
    assert.equal(next.rstCode, constants.NGHTTP2_REFUSED_STREAM);
    session.settings({ headerTableSize: 0, initialWindowSize: 1000, maxFrameSize: 16_384 });
    await once(session, 'localSettings');
    const last = session.request({ ':method': 'POST' }, { endStream: true });
    await new Promise<void>((resolve, reject) => session.ping((error) => (error ? reject(error) : resolve())));
    streams[2].respond([':status', '200']);
    streams[2].write([Buffer.alloc(100_000)]);
    streams[2].end();
    let size = 0;
    for await (const chunk of last) size += (chunk as Buffer).length;
    assert.equal(size, 100_000);
    session.close();
    await once(session, 'close');
    const { NGHTTP2_NO_ERROR, NGHTTP2_REFUSED_STREAM, NGHTTP2_CANCEL } = constants;
    assert.deepEqual(codes.toSorted(), [NGHTTP2_NO_ERROR, NGHTTP2_REFUSED_STREAM, NGHTTP2_CANCEL]);
  });
});

void test('a server of nghttp2: large bodies both ways, trailers, its end', async () => {
  const [ours, theirs] = duplexPair();
  const session = performServerHandshake(theirs, { settings: { maxConcurrentStreams: 2 } });
  let seen = '';
  session.on('stream', (stream: ServerHttp2Stream, headers) => {
    seen = String(headers.characters);
    stream.respond({ ':status': 200, answer: CHARACTERS }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '7' }));
    stream.pipe(stream);
  });
  const connection = new Http2Connection(new DuplexLink(ours));
  const body = Buffer.alloc(3 << 20, 'xyz');
  const ask = (): Collected => {
    const request = [':method', 'POST', ':scheme', 'http', ':path', '/', ':authority', 'here'];
    const call = collect(() => stream);
    // Fields that begin or end with a blank nghttp2 leaves out.
    const stream: Http2Stream = connection.request([...request, 'characters', CHARACTERS.trim()], call.events);
    stream.write([body.subarray(0, 5), body.subarray(5)]);
    stream.end();
    return call;
  };
  const first = ask();
  await first.closed;
  // More than it allows at once.
  const calls = [first, ...Array.from({ length: 7 }, ask)];
  for (const call of calls) {
    assert.equal(await call.closed, constants.NGHTTP2_NO_ERROR);
    assert.equal(call.status, 200);
    assert.deepEqual(call.trailers, ['grpc-status', '7']);
    assert.ok(Buffer.concat(call.chunks).equals(body));
  }
  assert.equal(seen, CHARACTERS.trim());
  session.close();
  await connection.closed;
  assert.equal(connection.isOpen, false);
});

void test('errors are understood by nghttp2, and its own by us', async () => {
  const [ours, theirs] = duplexPair();
  const connection = new Http2Connection(new DuplexLink(ours));
  const session = performServerHandshake(theirs);
  session.on('error', () => {});
  await once(session, 'remoteSettings');
  session.goaway(constants.NGHTTP2_ENHANCE_YOUR_CALM, 0, Buffer.from('slowly'));
  await connection.closed;
  assert.match(connection.lost?.message ?? '', /code 11 "slowly"/);
});
