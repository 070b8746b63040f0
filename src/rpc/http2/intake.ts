import { ConnectionFault, FLOW_CONTROL_ERROR, StreamFault } from './faults.ts';
import { MAX_HELD, WINDOW, WINDOW_STEP } from './limits.ts';
import type { Http2Stream } from './stream.ts';

/** Data that comes: the windows that let it in, of the connection and of its streams, and what nobody has taken yet. */
export class Intake {
  #window = WINDOW;
  /** Received since the last update of the window. */
  #uncredited = 0;
  #held = 0;
  /** Called when a window is to be told: that of a stream, or with 0 the connection's. */
  readonly #widen: (streamId: number, more: number) => void;

  constructor(widen: (streamId: number, more: number) => void) {
    this.#widen = widen;
  }

  /** A frame of `length` bytes, padding included, whoever wants them. Throws a ConnectionFault. */
  enter(length: number): void {
    this.#window -= length;
    if (this.#window < 0) throw new ConnectionFault(FLOW_CONTROL_ERROR, 'more data than the connection takes');
  }

  /** It is for this stream. Throws a StreamFault. */
  enterStream(stream: Http2Stream, length: number): void {
    stream.receiveWindow -= length;
    if (stream.receiveWindow < 0) throw new StreamFault(FLOW_CONTROL_ERROR, 'more data than the stream takes');
  }

  hand(stream: Http2Stream, piece: Uint8Array): void {
    stream.held += piece.length;
    this.#held += piece.length;
    stream.events.data(piece);
  }

  /** The frame is complete. */
  leave(length: number): void {
    this.#uncredited += length;
    this.#credit();
  }

  leaveStream(stream: Http2Stream, length: number): void {
    stream.uncredited += length;
    this.#creditStream(stream);
  }

  taken(stream: Http2Stream, bytes: number): void {
    stream.held -= bytes;
    this.#held -= bytes;
    this.#credit();
    this.#creditStream(stream);
  }

  /** What it holds is its owner's now. */
  forget(stream: Http2Stream): void {
    this.#held -= stream.held;
    stream.held = 0;
    this.#credit();
  }

  #credit(): void {
    if (this.#uncredited < WINDOW_STEP || this.#held > MAX_HELD) return;
    const more = this.#uncredited;
    this.#uncredited = 0;
    this.#window += more;
    this.#widen(0, more);
  }

  #creditStream(stream: Http2Stream): void {
    if (stream.uncredited < WINDOW_STEP || stream.paused || stream.remoteEnded) return;
    const more = stream.uncredited;
    stream.uncredited = 0;
    stream.receiveWindow += more;
    this.#widen(stream.id, more);
  }
}
