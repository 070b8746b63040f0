import { Duplex } from 'node:stream';
import { BuildError, Code } from '../base/index.ts';

/** Far beyond the windows, so only a peer that makes us answer and never reads gets here. */
const MAX_QUEUED = 64 << 20;
const FLUSH_PATIENCE_MS = 1000;

/**
 * What node:http2 gets in place of the connection. Node stops reading a session while a write of it is under way; two
 * Node ends that both send in bulk would then wait for each other for ever. Here every write is done at once: the
 * bytes wait in the connection's own queue, which HTTP/2's windows bound.
 */
export class UnblockedDuplex extends Duplex {
  readonly #inner: Duplex;

  constructor(inner: Duplex) {
    super({ allowHalfOpen: true, readableHighWaterMark: 1 << 20, writableHighWaterMark: 1 << 20 });
    this.#inner = inner;
    inner.on('data', (chunk: Uint8Array) => {
      if (!this.push(chunk)) inner.pause();
    });
    inner.once('end', () => this.push(null));
    // What was received before a clean end is still to be read.
    inner.once('close', () => {
      if (!inner.readableEnded) this.destroy();
    });
    inner.on('error', (error) => this.destroy(error));
    if (inner.destroyed) this.destroy();
  }

  override _read(): void {
    this.#inner.resume();
  }

  #put(chunks: readonly Uint8Array[], done: (error?: Error | null) => void): void {
    const inner = this.#inner;
    if (inner.destroyed || inner.writableEnded) {
      done();
      return;
    }
    if (inner.writableLength > MAX_QUEUED) {
      done(new BuildError(Code.ResourceExhausted, 'the peer does not read what it asks for'));
      return;
    }
    inner.cork();
    for (const chunk of chunks) inner.write(chunk);
    inner.uncork();
    done();
  }

  override _write(chunk: Uint8Array, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#put([chunk], done);
  }

  override _writev(chunks: Array<{ chunk: Uint8Array }>, done: (error?: Error | null) => void): void {
    this.#put(
      chunks.map((c) => c.chunk),
      done,
    );
  }

  override _final(done: () => void): void {
    if (!this.#inner.destroyed) this.#inner.end();
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    const inner = this.#inner;
    if (!inner.destroyed) {
      if (error !== null || inner.writableLength === 0) inner.destroy();
      else {
        // Last words (statuses, GOAWAY) still go out to a peer that reads them.
        const timer = setTimeout(() => inner.destroy(), FLUSH_PATIENCE_MS);
        inner.once('close', () => clearTimeout(timer));
        inner.resume();
        inner.end(() => inner.destroy());
      }
    }
    done(error);
  }
}
