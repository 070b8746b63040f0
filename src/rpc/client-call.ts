import type { ClientHttp2Stream, IncomingHttpHeaders } from 'node:http2';
import { abortReason, BuildError, canceled, Code, Deferred, internal } from '../base/index.ts';
import { CANCEL, NO_ERROR } from './limits.ts';
import { StreamReader } from './message-reader.ts';
import { StreamWriter } from './message-writer.ts';
import { decodeMetadata, timerMs } from './metadata.ts';
import { parseStatusHeaders, resetError } from './status.ts';
import type { CallOptions, ClientStream, Metadata, MethodDefinition } from './types.ts';

/** One call of ours; its end is the status, a reset, the deadline or the caller's signal, whichever is first. */
export class OutgoingCall<Req, Res> implements ClientStream<Req, Res> {
  readonly #stream: ClientHttp2Stream;
  readonly #in: StreamReader<Res>;
  readonly #out: StreamWriter<Req>;
  readonly #headers = new Deferred<Metadata>();
  readonly #path: string;
  #status: { readonly error: BuildError | undefined } | undefined;
  #over = false;
  #timer: NodeJS.Timeout | undefined;
  #signal: AbortSignal | undefined;
  readonly #onAbort = (): void => this.cancel(abortReason(this.#signal as AbortSignal));

  constructor(stream: ClientHttp2Stream, path: string, method: MethodDefinition<Req, Res>, options: CallOptions) {
    this.#stream = stream;
    this.#path = path;
    this.#in = new StreamReader(stream, method.responseType, Code.Internal);
    this.#out = new StreamWriter(stream, method.requestType);
    this.#in.onFault = (error) => this.cancel(error);
    stream.on('error', () => {});
    stream.once('response', (headers, _flags, raw) => this.#onHeaders(headers, raw as unknown as string[] | undefined));
    stream.once('trailers', (trailers) => {
      this.#status ??= parseStatusHeaders(trailers);
    });
    stream.once('end', () => {
      if (this.#status !== undefined) this.#finish(this.#status.error);
    });
    stream.once('close', () => this.#finish(this.#closeError()));
    if (options.timeoutMs !== undefined) {
      this.#timer = setTimeout(
        () => this.cancel(new BuildError(Code.DeadlineExceeded, 'context deadline exceeded')),
        timerMs(options.timeoutMs),
      );
    }
    this.#signal = options.signal;
    if (options.signal?.aborted) this.#onAbort();
    else options.signal?.addEventListener('abort', this.#onAbort, { once: true });
  }

  #onHeaders(headers: IncomingHttpHeaders, raw: string[] | undefined): void {
    this.#status = parseStatusHeaders(headers);
    const status = Number(headers[':status']);
    if (this.#status === undefined && status !== 200) {
      this.#status = { error: new BuildError(httpCode(status), `unexpected HTTP status code ${status}`) };
    }
    this.#headers.resolve(decodeMetadata(raw, headers));
  }

  #closeError(): BuildError | undefined {
    if (this.#status !== undefined) return this.#status.error;
    return resetError(this.#stream.rstCode, `rpc ${this.#path}`);
  }

  #finish(error: BuildError | undefined): void {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#timer);
    this.#signal?.removeEventListener('abort', this.#onAbort);
    this.#in.finish(error ?? (this.#in.isMidMessage ? internal('unexpected end of a response message') : undefined));
    this.#out.fail(error ?? new BuildError(Code.Unavailable, 'EOF'));
    this.#headers.reject(error ?? new BuildError(Code.Internal, 'the call ended without headers'));
    // Complete on the server's side: what we did not send is of no use any more.
    if (!this.#stream.destroyed && !this.#stream.writableEnded) this.#stream.close(NO_ERROR);
  }

  read(): Promise<Res | undefined> {
    return this.#in.read();
  }

  readBatch(): Promise<Res[] | undefined> {
    return this.#in.readBatch();
  }

  [Symbol.asyncIterator](): AsyncIterator<Res> {
    return this.#in[Symbol.asyncIterator]();
  }

  write(message: Req): Promise<void> {
    return this.#out.write(message);
  }

  writeBatch(messages: readonly Req[]): Promise<void> {
    return this.#out.writeBatch(messages);
  }

  end(): void {
    this.#out.flush();
    if (!this.#stream.destroyed) this.#stream.end();
  }

  headers(): Promise<Metadata> {
    return this.#headers.promise;
  }

  cancel(reason: Error = canceled()): void {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#timer);
    this.#signal?.removeEventListener('abort', this.#onAbort);
    this.#in.fail(reason);
    this.#out.fail(reason);
    this.#headers.reject(reason);
    if (!this.#stream.destroyed) {
      this.#stream.close(CANCEL);
    }
  }
}

/** grpc/doc/http-grpc-status-mapping.md */
function httpCode(status: number): Code {
  if (status === 400) return Code.Internal;
  if (status === 401) return Code.Unauthenticated;
  if (status === 403) return Code.PermissionDenied;
  if (status === 404) return Code.Unimplemented;
  if (status === 429 || (status >= 502 && status <= 504)) return Code.Unavailable;
  return Code.Unknown;
}
