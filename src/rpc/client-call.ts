import { abortReason, BuildError, canceled, Code, Deferred } from '../base/index.ts';
import { CANCEL, fieldOf, NO_ERROR } from './http2/index.ts';
import type { Fields, Http2Connection, Http2Stream } from './http2/index.ts';
import { StreamReader } from './message-reader.ts';
import { StreamWriter } from './message-writer.ts';
import { decodeMetadata, timerMs } from './metadata.ts';
import { parseStatusFields, resetError } from './status.ts';
import type { CallOptions, ClientStream, Metadata, MethodDefinition } from './types.ts';

/** One call of ours; its end is the status, a reset, the deadline or the caller's signal, whichever is first. */
export class OutgoingCall<Req, Res> implements ClientStream<Req, Res> {
  readonly #stream: Http2Stream;
  readonly #in: StreamReader<Res>;
  readonly #out: StreamWriter<Req>;
  readonly #headers = new Deferred<Metadata>();
  readonly #path: string;
  #status: { readonly error: BuildError | undefined } | undefined;
  #over = false;
  #timer: NodeJS.Timeout | undefined;
  #signal: AbortSignal | undefined;
  readonly #onAbort = (): void => this.cancel(abortReason(this.#signal as AbortSignal));

  /** Throws when the connection cannot make the request that `fields` describe. `onClose` runs last. */
  constructor(
    connection: Http2Connection,
    fields: Fields,
    method: MethodDefinition<Req, Res>,
    options: CallOptions,
    onClose: (call: OutgoingCall<Req, Res>) => void,
  ) {
    this.#path = fieldOf(fields, ':path') ?? '';
    this.#stream = connection.request(fields, {
      response: (head, status) => this.#onHead(head, status),
      trailers: (trailers) => (this.#status = parseStatusFields(trailers) ?? this.#status),
      data: (chunk) => this.#in.receive(chunk),
      end: () => this.#finish(this.#status === undefined ? noStatus() : this.#status.error),
      room: () => this.#out.sent(),
      close: (code) => {
        this.#finish(
          this.#status === undefined ? resetError(code, `rpc ${this.#path}`, connection.lost) : this.#status.error,
        );
        onClose(this);
      },
    });
    this.#in = new StreamReader(this.#stream, method.responseType, Code.Internal);
    this.#out = new StreamWriter(this.#stream, method.requestType);
    this.#in.onFault = (error) => this.cancel(error);
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

  #onHead(fields: Fields, status: number): void {
    this.#status = parseStatusFields(fields);
    this.#headers.resolve(decodeMetadata(fields));
    if (this.#status !== undefined || status === 200) return;
    // What follows is no message.
    this.#finish(new BuildError(httpCode(status), `unexpected HTTP status code ${status}`));
    this.#stream.reset(CANCEL);
  }

  #finish(error: BuildError | undefined): void {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#timer);
    this.#signal?.removeEventListener('abort', this.#onAbort);
    this.#in.finish(error);
    this.#out.fail(error ?? new BuildError(Code.Unavailable, 'EOF'));
    this.#headers.reject(error ?? new BuildError(Code.Internal, 'the call ended without headers'));
    // Complete on the server's side: what we did not send is of no use any more.
    if (!this.#stream.localEnded) this.#stream.reset(NO_ERROR);
  }

  read(): Promise<Res | undefined> {
    return this.#in.read();
  }

  readBatch(): Promise<Res[] | undefined> {
    return this.#in.readBatch();
  }

  flow(each: (message: Res) => void, end: (error: Error | undefined) => void): void {
    this.#in.flow(each, end);
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
    this.#stream.end();
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
    this.#stream.reset(CANCEL);
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

/** gRPC's own words in Go. */
function noStatus(): BuildError {
  return new BuildError(Code.Internal, 'server closed the stream without sending trailers');
}
