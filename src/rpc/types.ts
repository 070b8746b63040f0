/** gRPC over sockets and over byte tunnels. Message types are ts-proto's generic definitions. */
import type { Duplex } from 'node:stream';
import type { Link } from './http2/index.ts';

export type { Link };

/** Lower-case keys; `-bin` values are kept as received (base64 text). */
export type Metadata = ReadonlyMap<string, readonly string[]>;

export interface MessageType<T> {
  encode(message: T): { finish(): Uint8Array };
  decode(input: Uint8Array): T;
  /** The same bytes in pieces, so that a large body is not copied behind its field tag. */
  encodeParts?(message: T): Uint8Array[];
  /** `decode` gets the bytes of BytesMessages, in the parts in which they come. */
  inParts?: boolean;
}

export interface MethodDefinition<Req, Res> {
  readonly name: string;
  readonly requestType: MessageType<Req>;
  readonly requestStream: boolean;
  readonly responseType: MessageType<Res>;
  readonly responseStream: boolean;
}

export interface ServiceDefinition {
  readonly fullName: string;
  readonly methods: Readonly<Record<string, MethodDefinition<any, any>>>;
}

/** Messages in order; `undefined` is the clean end, an error status throws. */
export interface MessageReader<T> extends AsyncIterable<T> {
  read(): Promise<T | undefined>;
  /** All messages that have arrived, at least one; undefined at the end. What has arrived is bounded by the window. */
  readBatch(): Promise<T[] | undefined>;
  /**
   * Instead of reading: from now on each message is told as it comes, those that wait already at once, and the end, once. The
   * peer is not held back. Neither may throw.
   */
  flow(each: (message: T) => void, end: (error: Error | undefined) => void): void;
}

export interface MessageWriter<T> {
  /** Resolves when the peer's window has room for more: await it, or nothing is bounded. Small messages of one tick share a frame. */
  write(message: T): Promise<void>;
  writeBatch(messages: readonly T[]): Promise<void>;
}

export interface ServerCall {
  /** `/package.Service/Method` */
  readonly path: string;
  readonly metadata: Metadata;
  /** Aborts when the client cancels, its deadline passes or the connection ends. */
  readonly signal: AbortSignal;
  sendHeader(metadata: Iterable<readonly [string, string]>): void;
  setTrailer(key: string, value: string): void;
}

export type UnaryHandler<Req, Res> = (request: Req, call: ServerCall) => Promise<Res>;
export type ServerStreamHandler<Req, Res> = (request: Req, out: MessageWriter<Res>, call: ServerCall) => Promise<void>;
/** The response ends when the handler's promise settles. */
export type BidiHandler<Req, Res> = (
  input: MessageReader<Req>,
  out: MessageWriter<Res>,
  call: ServerCall,
) => Promise<void>;

/** Handlers by method key (camel case, as ts-proto names them); one that is missing answers Unimplemented. */
export type Handlers<S extends ServiceDefinition> = {
  readonly [K in keyof S['methods']]?: S['methods'][K] extends MethodDefinition<infer Req, infer Res>
    ? S['methods'][K]['requestStream'] extends true
      ? BidiHandler<Req, Res>
      : S['methods'][K]['responseStream'] extends true
        ? ServerStreamHandler<Req, Res>
        : UnaryHandler<Req, Res>
    : never;
};

export interface CallOptions {
  readonly metadata?: Iterable<readonly [string, string]>;
  readonly signal?: AbortSignal;
  readonly timeoutMs?: number;
}

export interface ClientStream<Req, Res> extends MessageReader<Res>, MessageWriter<Req> {
  /** Half-closes: no more writes. */
  end(): void;
  /** Resolves once response headers have come. */
  headers(): Promise<Metadata>;
  cancel(reason?: Error): void;
}

export interface Channel {
  unary<Req, Res>(
    service: ServiceDefinition,
    method: MethodDefinition<Req, Res>,
    request: Req,
    options?: CallOptions,
  ): Promise<Res>;
  /** Any streaming kind: for server streams write the one request and `end`. */
  stream<Req, Res>(
    service: ServiceDefinition,
    method: MethodDefinition<Req, Res>,
    options?: CallOptions,
  ): ClientStream<Req, Res>;
  close(): Promise<void>;
  readonly closed: Promise<void>;
}

export interface Server {
  add<S extends ServiceDefinition>(service: S, handlers: Handlers<S>): void;
  /** `/package.Service/Method` of everything added, as upstream announces them. */
  methods(): string[];
  /** Serves one connection (h2, prior knowledge) on any byte stream; resolves when it has ended. */
  serve(connection: Duplex | Link): Promise<void>;
  /** Refuses new calls, waits for running ones up to `graceMs`, then cancels them. */
  close(graceMs: number): Promise<void>;
}

export type ChannelFactory = (connection: Duplex | Link) => Channel;
