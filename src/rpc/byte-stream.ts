/** A call that carries plain bytes in BytesMessages, as a Node Duplex: the tunnel, agents, uploads. */
import { Duplex } from 'node:stream';
import { canceled, Deferred } from '../base/index.ts';
import type { Bytes } from './raw.ts';
import type { ClientStream, MessageReader, MessageWriter } from './types.ts';

/** Upstream's senders stay far below the message limit; 1 MiB is one frame between our own peers. */
const MAX_CHUNK = 1 << 20;

class ByteStream extends Duplex {
  readonly #in: MessageReader<Bytes>;
  readonly #out: MessageWriter<Bytes>;
  readonly #onFinal: () => void;
  readonly #onDestroy: (error: Error | null) => void;
  #reading = false;

  constructor(
    input: MessageReader<Bytes>,
    output: MessageWriter<Bytes>,
    onFinal: () => void,
    onDestroy: (error: Error | null) => void,
  ) {
    super({ allowHalfOpen: true, readableHighWaterMark: MAX_CHUNK, writableHighWaterMark: MAX_CHUNK });
    this.#in = input;
    this.#out = output;
    this.#onFinal = onFinal;
    this.#onDestroy = onDestroy;
  }

  override _read(): void {
    if (this.#reading) return;
    this.#reading = true;
    this.#pull().then(
      () => {},
      (error: Error) => this.destroy(error),
    );
  }

  /** Pushes until somebody says stop; a batch is bounded by the reader. */
  async #pull(): Promise<void> {
    for (;;) {
      const batch = await this.#in.readBatch();
      if (this.destroyed) return;
      if (batch === undefined) {
        this.push(null);
        return; // nothing is asked for after the end
      }
      let wanted = true;
      let any = false;
      for (const { data } of batch) {
        if (data.length === 0) continue;
        any = true;
        wanted = this.push(data);
      }
      // Without a push Node would not ask again.
      if (any && !wanted) {
        this.#reading = false;
        return;
      }
    }
  }

  override _write(chunk: Uint8Array, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#send([chunk], done);
  }

  override _writev(chunks: Array<{ chunk: Uint8Array }>, done: (error?: Error | null) => void): void {
    this.#send(
      chunks.map((c) => c.chunk),
      done,
    );
  }

  #send(chunks: Uint8Array[], done: (error?: Error | null) => void): void {
    const messages: Bytes[] = [];
    for (const chunk of chunks) {
      for (let at = 0; at < chunk.length; at += MAX_CHUNK) messages.push({ data: chunk.subarray(at, at + MAX_CHUNK) });
    }
    this.#out.writeBatch(messages).then(() => done(), done);
  }

  override _final(done: () => void): void {
    this.#onFinal();
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#onDestroy(error);
    done(error);
  }
}

/** Our call: `end` half-closes it, destroying cancels it. */
export function duplexFromCall(call: ClientStream<Bytes, Bytes>): Duplex {
  let ended = false;
  const duplex: Duplex = new ByteStream(
    call,
    call,
    () => call.end(),
    (error) => {
      if (!ended || error !== null) call.cancel(error ?? canceled());
    },
  );
  duplex.once('end', () => (ended = true));
  return duplex;
}

/**
 * A call that we serve: the handler returns `finished`. It resolves when the duplex was ended or closed by us, or when
 * the peer's end was read and nothing is left to write; gRPC has no half-close from the server's side.
 */
export function duplexFromServerCall(
  input: MessageReader<Bytes>,
  output: MessageWriter<Bytes>,
  signal: AbortSignal,
): { readonly duplex: Duplex; readonly finished: Promise<void> } {
  const finished = new Deferred();
  const duplex: Duplex = new ByteStream(
    input,
    output,
    () => finished.resolve(),
    (error) => {
      if (error === null) finished.resolve();
      else finished.reject(error);
      signal.removeEventListener('abort', onAbort);
    },
  );
  const onAbort = (): void => void duplex.destroy();
  if (signal.aborted) onAbort();
  else signal.addEventListener('abort', onAbort, { once: true });
  return { duplex, finished: finished.promise };
}
