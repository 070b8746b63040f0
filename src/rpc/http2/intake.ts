import { ConnectionFault, FLOW_CONTROL_ERROR, StreamFault } from './faults.ts';
import { FREELY_HELD, MAX_HELD, MAX_PINNED, UNTAKEN_PATIENCE_MS, WINDOW, WINDOW_STEP } from './limits.ts';
import type { Http2Stream } from './stream.ts';

/** Data that comes: the windows that let it in, of the connection and of its streams, and what nobody has taken yet. */
export class Intake {
  #window = WINDOW;
  /** Received since the last update of the window. */
  #uncredited = 0;
  #held = 0;
  /** Runs while the connection is shut. */
  #patience: NodeJS.Timeout | undefined;
  #takenSince = false;
  /** Called when a window is to be told: that of a stream, or with 0 the connection's. */
  readonly #widen: (streamId: number, more: number) => void;
  readonly #onStuck: () => void;

  /** `onStuck`: the connection is shut, and nobody takes anything: the largest of what waits has to go. */
  constructor(widen: (streamId: number, more: number) => void, onStuck: () => void) {
    this.#widen = widen;
    this.#onStuck = onStuck;
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
    stream.events.data(detached(piece, this.#held > FREELY_HELD ? 1 : MAX_PINNED));
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
    if (bytes > 0) this.#takenSince = true;
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
    if (this.#uncredited < WINDOW_STEP) return;
    if (this.#held > MAX_HELD) {
      this.#wait();
      return;
    }
    this.end();
    const more = this.#uncredited;
    this.#uncredited = 0;
    this.#window += more;
    this.#widen(0, more);
  }

  /**
   * Readers may wait for what is behind the shut window: rests of their messages, or streams of which others make use. Then
   * none of them would ever take what it has.
   */
  #wait(): void {
    if (this.#patience !== undefined) return;
    this.#takenSince = false;
    this.#patience = setTimeout(() => {
      this.#patience = undefined;
      if (!this.#takenSince) this.#onStuck();
      this.#credit();
    }, UNTAKEN_PATIENCE_MS);
  }

  /** The connection is over, or open again. */
  end(): void {
    clearTimeout(this.#patience);
    this.#patience = undefined;
  }

  #creditStream(stream: Http2Stream): void {
    if (stream.uncredited < WINDOW_STEP || stream.paused || stream.remoteEnded) return;
    const more = stream.uncredited;
    stream.uncredited = 0;
    stream.receiveWindow += more;
    this.#widen(stream.id, more);
  }
}

/** A view keeps all alive that was read with it, which no window counts: a small one is copied, and not into a shared pool. */
function detached(piece: Uint8Array, maxPinned: number): Uint8Array {
  if (piece.length * maxPinned >= piece.buffer.byteLength) return piece;
  const copy = Buffer.allocUnsafeSlow(piece.length);
  copy.set(piece);
  return copy;
}
