import { writeSync } from 'node:fs';
import { Writable } from 'node:stream';
import { isatty } from 'node:tty';

/** For a reader who is behind, where whoever shares the descriptor has made it one that does not wait. */
const FULL_MS = 2;

/**
 * Standard output or error. It writes at once, as Node's own streams do for pipes, files and terminals on Linux, but is not made of
 * them: making them takes 5 to 10 ms, half a small command. A reader that has gone away (`| head`) ends the process: with success where
 * it has read results.
 */
export class StandardOutput {
  readonly #descriptor: 1 | 2;
  #isTerminal: boolean | undefined;

  constructor(descriptor: 1 | 2) {
    this.#descriptor = descriptor;
  }

  get isTTY(): boolean {
    return (this.#isTerminal ??= isatty(this.#descriptor));
  }

  /** Of the terminal, now; undefined where there is none. */
  get columns(): number | undefined {
    return this.#terminal?.columns;
  }

  get rows(): number | undefined {
    return this.#terminal?.rows;
  }

  get #terminal(): NodeJS.WriteStream | undefined {
    return this.isTTY ? (this.#descriptor === 1 ? process.stdout : process.stderr) : undefined;
  }

  write(data: string | Uint8Array): void {
    const bytes = typeof data === 'string' ? Buffer.from(data) : data;
    for (let at = 0; at < bytes.length;) {
      try {
        at += writeSync(this.#descriptor, bytes, at);
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if (code === 'EPIPE') process.exit(this.#descriptor === 1 ? 0 : 1);
        if (code !== 'EAGAIN') throw error;
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, FULL_MS);
      }
    }
  }
}

/** As a target of archives and other streams: it stays open behind them. */
export function streamOnto(output: Pick<StandardOutput, 'write'>): Writable {
  return new Writable({
    highWaterMark: 1 << 20,
    write: (chunk: Uint8Array, _encoding, done) => {
      try {
        output.write(chunk);
        done();
      } catch (error) {
        done(error as Error);
      }
    },
  });
}
