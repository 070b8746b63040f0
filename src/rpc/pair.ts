import { Duplex } from 'node:stream';

/** Two ends of one connection in memory, for tests and for a daemon inside the client's process. */
export function duplexPair(): [Duplex, Duplex] {
  const ends: [End, End] = [new End(), new End()];
  ends[0].peer = ends[1];
  ends[1].peer = ends[0];
  return ends;
}

class End extends Duplex {
  peer!: End;
  #resume: (() => void) | undefined;

  constructor() {
    super({ allowHalfOpen: true, readableHighWaterMark: 1 << 20, writableHighWaterMark: 1 << 20 });
  }

  override _read(): void {
    const resume = this.#resume;
    this.#resume = undefined;
    resume?.();
  }

  override _write(chunk: Uint8Array, _encoding: BufferEncoding, done: () => void): void {
    const peer = this.peer;
    if (peer.destroyed || chunk.length === 0) process.nextTick(done);
    else if (peer.push(chunk)) process.nextTick(done);
    else peer.#resume = done;
  }

  override _final(done: () => void): void {
    if (!this.peer.destroyed) this.peer.push(null);
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    const resume = this.#resume;
    this.#resume = undefined;
    resume?.();
    const peer = this.peer;
    process.nextTick(() => {
      if (!peer.destroyed) peer.destroy();
    });
    done(error);
  }
}
