import type { Fields } from './hpack-decoder.ts';
import { WINDOW } from './limits.ts';

/** What a stream tells its owner, in the order of the wire. */
export interface StreamEvents {
  /** Of a response, once; a client's only. */
  response?(fields: Fields, status: number): void;
  trailers?(fields: Fields): void;
  /** What was read, mostly a view of it: it lives as long as somebody keeps it. */
  data(chunk: Uint8Array): void;
  /** The peer has ended its half. */
  end(): void;
  /** Some of what was written has left. */
  room(): void;
  /** All of ours has left, the end included. */
  ended?(): void;
  /** Last and exactly once: the code of a reset by either side, NO_ERROR after two ends; undefined: the connection is gone. */
  close(code: number | undefined): void;
}

/** What a stream asks of its connection. */
export interface StreamHost {
  sendHeaders(stream: Http2Stream, fields: Fields): void;
  /** There is something to send, or the end. */
  ready(stream: Http2Stream): void;
  reset(stream: Http2Stream, code: number): void;
  /** More waits to be sent, or less. Written for a stream that may be over when it returns. */
  unsent(bytes: number): void;
  /** The reader has taken bytes, or wants more of them again. */
  taken(stream: Http2Stream, bytes: number): void;
}

const NOBODY: StreamEvents = { data() {}, end() {}, room() {}, close() {} };

/** One stream of a connection: what is to be sent, and how far both halves are. */
export class Http2Stream {
  readonly #host: StreamHost;
  events: StreamEvents = NOBODY;
  headersSent = false;
  /** Nothing comes from it or can be sent any more. */
  closed = false;
  /** Bytes that were written and have not left. */
  unsent = 0;
  paused = false;

  // The rest is the connection's.
  /** 0 while a client's request waits for its turn. */
  id = 0;
  sendWindow: number;
  receiveWindow = WINDOW;
  /** Received since the last update of its window. */
  uncredited = 0;
  /** Received and not yet taken. */
  held = 0;
  responded = false;
  remoteEnded = false;
  localEnded = false;
  /** `end` was called: the trailers, if any, follow what is unsent. */
  ending = false;
  trailers: Fields | undefined;
  #queue: Uint8Array[] = [];
  #first = 0;

  constructor(host: StreamHost, id: number, sendWindow: number) {
    this.#host = host;
    this.id = id;
    this.sendWindow = sendWindow;
  }

  /** A response's head; not behind `end`, whose trailers are all there is then. */
  respond(fields: Fields): void {
    if (this.closed || this.headersSent || this.ending) return;
    this.headersSent = true;
    this.#host.sendHeaders(this, fields);
  }

  /** The pieces follow each other on the wire, framed as the windows and the turn allow. They must not change afterwards. */
  write(pieces: readonly Uint8Array[]): void {
    if (this.closed || this.ending) return;
    let bytes = 0;
    for (const piece of pieces) {
      if (piece.length === 0) continue;
      this.#queue.push(piece);
      bytes += piece.length;
    }
    this.unsent += bytes;
    this.#host.unsent(bytes);
    if (!this.closed) this.#host.ready(this);
  }

  /** Ends our half when everything has left. */
  end(trailers?: Fields): void {
    if (this.closed || this.ending) return;
    this.ending = true;
    this.trailers = trailers;
    this.#host.ready(this);
  }

  /** Ends both halves at once. */
  reset(code: number): void {
    if (!this.closed) this.#host.reset(this, code);
  }

  /** The peer may fill the window and no more. What it sends is still handed out. */
  pause(): void {
    this.paused = true;
  }

  resume(): void {
    if (!this.paused) return;
    this.paused = false;
    this.taken(0);
  }

  /** Of all that `data` handed out somebody must say so in the end. */
  taken(bytes: number): void {
    if (!this.closed) this.#host.taken(this, bytes);
  }

  /** The next bytes to send, `count` in all, one piece after the other. */
  take(count: number, put: (piece: Uint8Array) => void): void {
    let left = count;
    while (left > 0) {
      const piece = this.#queue[this.#first];
      if (piece.length <= left) {
        put(piece);
        left -= piece.length;
        this.#first++;
      } else {
        put(piece.subarray(0, left));
        this.#queue[this.#first] = piece.subarray(left);
        left = 0;
      }
    }
    this.unsent -= count;
    this.#host.unsent(-count);
    if (this.#first === this.#queue.length || this.#first > 256) {
      this.#queue.splice(0, this.#first);
      this.#first = 0;
    }
  }

  /** Forgets what was to be sent. */
  drop(): void {
    this.closed = true;
    this.#host.unsent(-this.unsent);
    this.unsent = 0;
    this.#queue = [];
    this.#first = 0;
  }
}
