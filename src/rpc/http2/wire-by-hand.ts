/** For tests: the other end of a connection by hand, with frames as bytes. */
import assert from 'node:assert/strict';
import { Http2Connection } from './connection.ts';
import * as frame from './frames.ts';
import { HpackDecoder } from './hpack-decoder.ts';
import type { Fields } from './hpack-decoder.ts';
import { HpackEncoder } from './hpack-encoder.ts';
import type { Link, LinkEvents } from './link.ts';
import type { Http2Stream, StreamEvents } from './stream.ts';

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly id: number;
  readonly payload: Buffer;
}

export const tick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

export function encode(type: number, flags: number, id: number, payload: Uint8Array = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(id, 5);
  return Buffer.concat([head, payload]);
}

export function u32(...values: number[]): Buffer {
  const out = Buffer.alloc(values.length * 4);
  for (const [i, value] of values.entries()) out.writeUInt32BE(value, i * 4);
  return out;
}

export function setting(id: number, value: number): Buffer {
  return Buffer.concat([Buffer.from([0, id]), u32(value)]);
}

/** The other end of a connection, by hand. */
export class Wire implements Link {
  #events!: LinkEvents;
  #written = Buffer.alloc(0);
  readonly #decoder = new HpackDecoder();
  readonly #encoder = new HpackEncoder();
  writes = 0;
  unsent = 0;
  takes = true;
  ended = false;

  start(events: LinkEvents): void {
    this.#events = events;
  }

  write(pieces: readonly Uint8Array[]): boolean {
    this.writes++;
    this.#written = Buffer.concat([this.#written, ...pieces]);
    if (!this.takes) for (const piece of pieces) this.unsent += piece.length;
    return this.takes;
  }

  end(): void {
    this.ended = true;
    this.#events.closed(undefined);
  }

  hangUp(error?: Error): void {
    this.#events.end(error);
  }

  destroy(error?: Error): void {
    this.ended = true;
    this.#events.closed(error);
  }

  drain(): void {
    this.takes = true;
    this.unsent = 0;
    this.#events.drain();
  }

  feed(...parts: Uint8Array[]): void {
    this.#events.data(Buffer.concat(parts));
  }

  headers(id: number, fields: Fields, flags = frame.END_HEADERS): Buffer {
    return encode(frame.HEADERS, flags, id, this.#encoder.encode(fields));
  }

  /** What was written since the last time. */
  async frames(): Promise<Frame[]> {
    await tick();
    const out: Frame[] = [];
    let at = this.#written.subarray(0, 3).toString() === 'PRI' ? frame.PREFACE.length : 0;
    while (at < this.#written.length) {
      const end = at + 9 + this.#written.readUIntBE(at, 3);
      const head = this.#written.subarray(at, at + 9);
      out.push({
        type: head[3],
        flags: head[4],
        id: head.readUInt32BE(5),
        payload: this.#written.subarray(at + 9, end),
      });
      at = end;
    }
    this.#written = Buffer.alloc(0);
    return out;
  }

  fields(one: Frame): Fields | undefined {
    return this.#decoder.decode(one.payload);
  }
}

export const REQUEST = [':method', 'POST', ':scheme', 'http', ':path', '/a'];
export const HELLO = Buffer.concat([frame.PREFACE, encode(frame.SETTINGS, 0, 0)]);

interface Seen extends StreamEvents {
  readonly log: string[];
}

function watch(stream: () => Http2Stream, log: string[] = []): Seen {
  return {
    log,
    response: (_fields, status) => log.push(`response ${status}`),
    trailers: (fields) => log.push(`trailers ${fields.join(' ')}`),
    data: (chunk) => {
      log.push(`data ${chunk.length}`);
      stream().taken(chunk.length);
    },
    end: () => log.push('end'),
    room() {},
    close: (code) => log.push(`close ${code}`),
  };
}

export interface Served {
  readonly wire: Wire;
  readonly connection: Http2Connection;
  readonly streams: Http2Stream[];
  readonly logs: string[][];
}

/** A server that has been greeted, and said nothing but its own greeting. */
export async function served(greeting: Buffer = HELLO): Promise<Served> {
  const wire = new Wire();
  const streams: Http2Stream[] = [];
  const logs: string[][] = [];
  const connection = new Http2Connection(wire, (stream) => {
    const log: string[] = [];
    streams.push(stream);
    logs.push(log);
    stream.events = watch(() => stream, log);
  });
  wire.feed(greeting);
  await wire.frames();
  return { wire, connection, streams, logs };
}

export async function asked(greeting = encode(frame.SETTINGS, 0, 0)) {
  const wire = new Wire();
  const connection = new Http2Connection(wire);
  wire.feed(greeting);
  await wire.frames();
  const ask = () => {
    const log: string[] = [];
    const stream: Http2Stream = connection.request(
      REQUEST,
      watch(() => stream, log),
    );
    return { stream, log };
  };
  return { wire, connection, ask };
}

/** The code of the GOAWAY that ended the connection. */
export async function goAway(wire: Wire): Promise<number | undefined> {
  const last = (await wire.frames()).findLast((f) => f.type === frame.GOAWAY);
  if (last !== undefined) assert.ok(wire.ended);
  return last?.payload.readUInt32BE(4);
}
