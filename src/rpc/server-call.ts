import type { IncomingHttpHeaders, OutgoingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { BuildError, canceled, Code, internal, unimplemented } from '../base/index.ts';
import { NO_ERROR } from './limits.ts';
import { StreamReader } from './message-reader.ts';
import { StreamWriter } from './message-writer.ts';
import { decodeMetadata, encodeMetadata, parseTimeout, timerMs } from './metadata.ts';
import { statusHeaders } from './status.ts';
import type { Metadata, MethodDefinition, ServerCall } from './types.ts';

/** For the status to be on its way before a reset. */
const RESET_DELAY_MS = 100;
/** How long what was answered may wait for a client to read it, before a call that is over is reset. */
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
  readonly #stream: ServerHttp2Stream;
  readonly #extraHeaders: OutgoingHttpHeaders = {};
  readonly #trailers: OutgoingHttpHeaders = {};
  #finished = false;
  #timer: NodeJS.Timeout | undefined;
  readonly done: Promise<void>;

  constructor(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, raw: string[] | undefined) {
    this.#stream = stream;
    this.path = String(headers[':path'] ?? '');
    this.metadata = decodeMetadata(raw, headers);
    // A stream's error is also its close, which is what counts here.
    stream.on('error', () => {});
    this.done = new Promise((resolve) => {
      stream.once('close', () => {
        clearTimeout(this.#timer);
        if (!this.#finished) this.cancel(canceled());
        resolve();
      });
    });
    const timeoutMs = parseTimeout(headers['grpc-timeout'] as string | undefined);
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
    encodeMetadata(metadata, this.#extraHeaders);
    this.#respond();
  }

  setTrailer(key: string, value: string): void {
    encodeMetadata([[key, value]], this.#trailers);
  }

  #respond(): void {
    const stream = this.#stream;
    if (stream.headersSent || stream.destroyed || stream.closed) return;
    stream.respond(
      { ':status': 200, 'content-type': 'application/grpc', ...this.#extraHeaders },
      { waitForTrailers: true },
    );
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
    this.#stream.once('end', () =>
      input.finish(input.isMidMessage ? internal('unexpected end of a request message') : undefined),
    );
    const out = new StreamWriter(this.#stream, method.responseType);
    out.onFirstWrite = () => this.#respond();
    const onAbort = (): void => {
      input.fail(this.signal.reason as Error);
      out.fail(this.signal.reason as Error);
      // The deadline is the client's too: nobody waits for a handler that does not notice.
      if (!this.#stream.destroyed) this.finish(this.signal.reason);
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
      out.flush();
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
    if (stream.destroyed || stream.closed) return;
    const trailers = { ...this.#trailers, ...statusHeaders(error) };
    if (!stream.headersSent) {
      stream.respond(
        { ':status': 200, 'content-type': 'application/grpc', ...this.#extraHeaders, ...trailers },
        { endStream: true },
      );
      this.#resetIn(RESET_DELAY_MS);
    } else {
      // Only when all that was written has left: until then a slow reader's window may hold it.
      stream.once('wantTrailers', () => {
        if (stream.destroyed) return;
        stream.sendTrailers(trailers);
        this.#resetIn(RESET_DELAY_MS);
      });
      this.#resetIn(UNREAD_PATIENCE_MS);
      stream.end();
    }
    stream.resume();
  }

  /**
   * A client that is still sending learns that nobody listens. Others end the call by themselves once they have its
   * status, which a reset that leaves at the same time would overtake: nghttp2 drops what is queued for the stream.
   */
  #resetIn(ms: number): void {
    const stream = this.#stream;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      if (!stream.destroyed && !(stream.readableEnded && stream.writableFinished)) stream.close(NO_ERROR);
    }, ms);
  }
}

function unknownPath(path: string, known: boolean): string {
  const m = /^\/([^/]+)\/([^/]+)$/.exec(path);
  if (m === null) return `malformed method name: ${JSON.stringify(path)}`;
  return known ? `method ${m[2]} not implemented` : `unknown service or method ${m[1]}/${m[2]}`;
}
