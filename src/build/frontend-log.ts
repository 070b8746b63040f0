import { Writable } from 'node:stream';
import { logger, toBuildError } from '../base/index.ts';

/** What a frontend may put into the daemon's log; the rest is dropped. */
const MAX_LOGGED = 256 << 10;
const MAX_LINE = 4096;

/** stderr of a frontend: the daemon's log shows it, line by line. */
export class FrontendLog extends Writable {
  #line = '';
  #left = MAX_LOGGED;

  override _write(chunk: Uint8Array, _encoding: BufferEncoding, done: () => void): void {
    const text = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength).subarray(0, this.#left).toString('utf8');
    this.#left -= Math.min(chunk.length, this.#left);
    const lines = (this.#line + text).split('\n');
    this.#line = (lines.pop() ?? '').slice(-MAX_LINE);
    for (const line of lines) if (line !== '') logger.info('frontend', { stderr: line.slice(0, MAX_LINE) });
    done();
  }

  /** Why it ended. */
  tell(error: unknown): void {
    logger.info('frontend failed', { stderr: this.#line, error: toBuildError(error).message });
  }
}
