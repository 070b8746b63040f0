import { BuildError, canceled, Code, Deferred, internal, unimplemented } from '../base/index.ts';
import { fieldOf, NO_ERROR } from './http2/index.ts';
import type { Fields, Http2Stream } from './http2/index.ts';
import { StreamReader } from './message-reader.ts';
import { StreamWriter } from './message-writer.ts';
import { decodeMetadata, encodeMetadata, parseTimeout, timerMs } from './metadata.ts';
import { statusFields } from './status.ts';
import type { Metadata, MethodDefinition, ServerCall } from './types.ts';

/** For the status to be on its way before a reset. */
const RESET_DELAY_MS = 100;
/** How long a client may read nothing of what was answered, before a call that is over is reset. */
const UNREAD_PATIENCE_MS = 60_000;

export interface Route {
  readonly method: MethodDefinition<any, any>;
  readonly handler: ((...args: any[]) => Promise<unknown>) | undefined;
}

/** One call from its request headers to its trailers; it owns the stream. */
export class IncomingCall implements ServerCall {
  readonly path: string;
  readonly metadata: Metadata;
  readonly #abort = new AbortController();
  readonly #stream: Http2Stream;
  readonly #extraFields: string[] = [];
  readonly #trailers: string[] = [];
  #in: StreamReader<unknown> | undefined;
  #out: StreamWriter<unknown> | undefined;
  #finished = false;
  #timer: NodeJS.Timeout | undefined;
  readonly done: Promise<void>;

  constructor(stream: Http2Stream, fields: Fields) {
    this.#stream = stream;
    this.path = fieldOf(fields, ':path') ?? '';
    this.metadata = decodeMetadata(fields);
    const done = new Deferred();
    this.done = done.promise;
    stream.events = {
      data: (chunk) => {
        if (this.#in === undefined) stream.taken(chunk.length);
        else this.#in.receive(chunk);
      },
      end: () => this.#in?.finish(),
      room: () => {
        this.#out?.sent();
        if (this.#finished && stream.unsent > 0) this.#resetIn(UNREAD_PATIENCE_MS);
      },
      ended: () => {
        if (!stream.remoteEnded) this.#resetIn(RESET_DELAY_MS);
      },
      close: () => {
        clearTimeout(this.#timer);
        if (!this.#finished) this.cancel(canceled());
        this.#out?.fail(canceled());
        done.resolve();
      },
    };
    const timeoutMs = parseTimeout(fieldOf(fields, 'grpc-timeout'));
    if (timeoutMs !== undefined) {
      this.#timer = setTimeout(
        () => this.cancel(new BuildError(Code.DeadlineExceeded, 'context deadline exceeded')),
        timerMs(timeoutMs),
      );
    }
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  cancel(reason: Error): void {
    if (!this.#abort.signal.aborted) this.#abort.abort(reason);
  }

  sendHeader(metadata: Iterable<readonly [string, string]>): void {
    encodeMetadata(metadata, this.#extraFields);
    this.#respond();
  }

  setTrailer(key: string, value: string): void {
    encodeMetadata([[key, value]], this.#trailers);
  }

  #respond(): void {
    this.#stream.respond([':status', '200', 'content-type', 'application/grpc', ...this.#extraFields]);
  }

  async run(route: Route | undefined): Promise<void> {
    try {
      if (route?.handler === undefined) throw unimplemented(unknownPath(this.path, route !== undefined));
      await this.#invoke(route.method, route.handler);
      this.finish(undefined);
    } catch (error) {
      this.finish(error ?? internal('handler failed'));
    }
  }

  async #invoke(
    method: MethodDefinition<unknown, unknown>,
    handler: (...args: unknown[]) => Promise<unknown>,
  ): Promise<void> {
    const input = new StreamReader(this.#stream, method.requestType, Code.InvalidArgument);
    this.#in = input;
    const out = new StreamWriter(this.#stream, method.responseType);
    this.#out = out;
    out.onFirstWrite = () => this.#respond();
    const onAbort = (): void => {
      input.fail(this.signal.reason as Error);
      out.fail(this.signal.reason as Error);
      // The deadline is the client's too: nobody waits for a handler that does not notice.
      this.finish(this.signal.reason);
    };
    if (this.signal.aborted) onAbort();
    else this.signal.addEventListener('abort', onAbort, { once: true });
    input.onFault = (error) => this.cancel(error);
    try {
      if (method.requestStream) await handler(input, out, this);
      else {
        const request = await input.read();
        if (request === undefined) throw internal('request message is missing');
        if (method.responseStream) await handler(request, out, this);
        else await out.write(await handler(request, this));
      }
    } finally {
      this.signal.removeEventListener('abort', onAbort);
      input.discard();
    }
  }

  /** Sends the status; later calls do nothing. */
  finish(error: unknown): void {
    if (this.#finished) return;
    this.#finished = true;
    clearTimeout(this.#timer);
    const stream = this.#stream;
    if (stream.closed) return;
    const trailers = [...this.#trailers, ...statusFields(error)];
    if (stream.headersSent) stream.end(trailers);
    else stream.end([':status', '200', 'content-type', 'application/grpc', ...this.#extraFields, ...trailers]);
    // A slow reader's window may hold what was written, and the trailers behind it.
    if (stream.unsent > 0) this.#resetIn(UNREAD_PATIENCE_MS);
  }

  /**
   * A client that is still sending learns that nobody listens. Others end the call by themselves once they have its
   * status, which a reset that comes with it may overtake in them.
   */
  #resetIn(ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#stream.reset(NO_ERROR), ms);
  }
}

function unknownPath(path: string, known: boolean): string {
  const m = /^\/([^/]+)\/([^/]+)$/.exec(path);
  if (m === null) return `malformed method name: ${JSON.stringify(path)}`;
  return known ? `method ${m[2]} not implemented` : `unknown service or method ${m[1]}/${m[2]}`;
}
