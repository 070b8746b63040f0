import type { Duplex } from 'node:stream';
import { FLUSH_PATIENCE_MS } from './limits.ts';
import type { Link, LinkEvents } from './link.ts';

/**
 * A connection over a socket or any other Duplex of Node's. It reads whatever there is to be written: two ends that both
 * send in bulk would wait for each other for ever otherwise.
 */
export class DuplexLink implements Link {
  readonly #duplex: Duplex;
  #error: Error | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(duplex: Duplex) {
    this.#duplex = duplex;
  }

  start(events: LinkEvents): void {
    const duplex = this.#duplex;
    let isClosed = false;
    const closed = (): void => {
      if (isClosed) return;
      isClosed = true;
      clearTimeout(this.#timer);
      events.closed(this.#error);
    };
    duplex.on('error', (error: Error) => (this.#error ??= error));
    duplex.once('close', closed);
    if (duplex.destroyed) {
      process.nextTick(closed);
      return;
    }
    duplex.on('data', (chunk: Uint8Array) => events.data(chunk));
    duplex.on('drain', () => events.drain());
    duplex.once('end', () => events.end(this.#error));
    if (duplex.readableEnded) process.nextTick(() => events.end(this.#error));
  }

  get unsent(): number {
    return this.#duplex.writableLength;
  }

  write(pieces: readonly Uint8Array[]): boolean {
    const duplex = this.#duplex;
    if (duplex.destroyed || duplex.writableEnded) return true;
    if (pieces.length === 1) return duplex.write(pieces[0]);
    duplex.cork();
    let more = true;
    for (const piece of pieces) more = duplex.write(piece);
    duplex.uncork();
    return more;
  }

  end(): void {
    const duplex = this.#duplex;
    if (duplex.destroyed) return;
    this.#beLeaving(duplex.writableLength);
    if (duplex.writableFinished) duplex.destroy();
    else duplex.end(() => duplex.destroy());
  }

  #beLeaving(before: number): void {
    this.#timer = setTimeout(() => {
      const { writableLength } = this.#duplex;
      if (writableLength < before) this.#beLeaving(writableLength);
      else this.#duplex.destroy();
    }, FLUSH_PATIENCE_MS);
  }

  destroy(error?: Error): void {
    this.#error ??= error;
    this.#duplex.destroy();
  }
}
