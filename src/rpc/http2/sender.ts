import { ConnectionFault, FLOW_CONTROL_ERROR, StreamFault } from './faults.ts';
import { DEFAULT_WINDOW, LARGEST_WINDOW } from './frames.ts';
import { HpackEncoder } from './hpack-encoder.ts';
import { MAX_WRITE } from './limits.ts';
import type { Output } from './output.ts';
import type { PeerSettings } from './peer-settings.ts';
import type { Http2Stream } from './stream.ts';

/** One stream's turn: others wait for no more than this. */
const TURN = 256 << 10;

/** Puts what streams have to send into frames, in turns, as far as the peer's windows and frame size allow. */
export class Sender {
  readonly #output: Output;
  readonly #peer: PeerSettings;
  readonly #encoder = new HpackEncoder();
  /** In the order of their turns. */
  readonly #queue = new Set<Http2Stream>();
  /** Streams that wait for the connection's window alone. */
  readonly #blocked = new Set<Http2Stream>();
  #window = DEFAULT_WINDOW;
  /** Called when our half of a stream has ended. */
  onEnded: (stream: Http2Stream) => void = () => {};

  constructor(output: Output, peer: PeerSettings) {
    this.#output = output;
    this.#peer = peer;
  }

  /** Headers leave before all data that waits. */
  headers(stream: Http2Stream, fields: readonly string[], endStream: boolean): void {
    this.#output.headers(stream.id, this.#encoder.encode(fields), this.#peer.maxFrame, endStream);
  }

  queue(stream: Http2Stream): void {
    if (stream.id !== 0 && !this.#blocked.has(stream)) this.#queue.add(stream);
  }

  forget(stream: Http2Stream): void {
    this.#queue.delete(stream);
    this.#blocked.delete(stream);
  }

  /** Something could be sent now. */
  get isReady(): boolean {
    return this.#queue.size > 0;
  }

  /** Frames of all streams in turns, until a write's worth is there. */
  fill(): void {
    for (const stream of this.#queue) {
      if (this.#output.bytes >= MAX_WRITE) return;
      this.#queue.delete(stream);
      this.#turn(stream);
      // A stream that waits for its own window is queued again by its update.
      if (stream.unsent === 0 || stream.sendWindow <= 0) continue;
      if (this.#window > 0) this.#queue.add(stream);
      else this.#blocked.add(stream);
    }
  }

  #turn(stream: Http2Stream): void {
    if (stream.closed || stream.localEnded) return;
    const allowed = Math.min(stream.unsent, stream.sendWindow, this.#window, this.#peer.maxFrame, TURN);
    const count = Math.max(0, allowed);
    const ends = stream.ending && count === stream.unsent;
    if (count > 0 || (ends && stream.trailers === undefined)) {
      this.#output.data(stream.id, count, ends && stream.trailers === undefined);
      stream.sendWindow -= count;
      this.#window -= count;
      stream.take(count, (piece) => this.#output.bytesOf(piece));
    }
    if (ends) {
      if (stream.trailers !== undefined) this.headers(stream, stream.trailers, true);
      stream.localEnded = true;
    }
    if (count > 0) stream.events.room();
    if (ends && !stream.closed) this.onEnded(stream);
  }

  /** WINDOW_UPDATE of the connection. Throws a ConnectionFault. */
  widen(more: number): void {
    this.#window += more;
    if (this.#window > LARGEST_WINDOW)
      throw new ConnectionFault(FLOW_CONTROL_ERROR, 'window of the connection overflows');
    if (this.#window <= 0) return;
    for (const stream of this.#blocked) this.#queue.add(stream);
    this.#blocked.clear();
  }

  /** WINDOW_UPDATE of a stream. Throws a StreamFault. */
  widenStream(stream: Http2Stream, more: number): void {
    stream.sendWindow += more;
    if (stream.sendWindow > LARGEST_WINDOW) throw new StreamFault(FLOW_CONTROL_ERROR, 'window of a stream overflows');
    if (stream.unsent > 0) this.queue(stream);
  }

  /** SETTINGS: a new first window moves those of the streams that run (RFC 9113, 6.9.2). Throws a ConnectionFault. */
  settings(payload: Uint8Array, running: Iterable<Http2Stream>): void {
    const before = this.#peer.window;
    this.#peer.apply(payload);
    const more = this.#peer.window - before;
    if (more === 0) return;
    for (const stream of running) {
      if (stream.sendWindow + more > LARGEST_WINDOW)
        throw new ConnectionFault(FLOW_CONTROL_ERROR, 'window of a stream overflows');
      this.widenStream(stream, more);
    }
  }
}
