import { connect } from 'node:http2';
import type {
  ClientHttp2Session,
  ClientSessionOptions,
  OutgoingHttpHeaders,
  SecureClientSessionOptions,
} from 'node:http2';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { BuildError, Code, internal, throwIfAborted } from '../base/index.ts';
import { OutgoingCall } from './client-call.ts';
import { SESSION_OPTIONS, WINDOW } from './limits.ts';
import { encodeMetadata, formatTimeout } from './metadata.ts';
import { UnblockedDuplex } from './unblocked.ts';
import type { CallOptions, Channel, ClientStream, MethodDefinition, ServiceDefinition } from './types.ts';

const CLOSE_PATIENCE_MS = 500;

/** Calls over one connection; it does not reconnect. It owns the connection. */
class GrpcChannel implements Channel {
  readonly #session: ClientHttp2Session;
  readonly #running = new Set<ClientStream<any, any>>();
  readonly closed: Promise<void>;
  #lost: Error | undefined;

  constructor(connection: Duplex) {
    const options: ClientSessionOptions & SecureClientSessionOptions = {
      ...SESSION_OPTIONS,
      createConnection: () => connection,
    };
    connection.on('error', (error) => (this.#lost ??= error));
    const session = connect('http://localhost', options);
    this.#session = session;
    session.on('error', (error) => (this.#lost ??= error));
    // Allowed before the connection stands; without it the whole connection has 64 KiB.
    session.once('connect', () => {
      if (!session.destroyed) session.setLocalWindowSize(WINDOW);
    });
    const end = (): void => {
      session.destroy();
    };
    connection.once('end', end);
    connection.once('close', end);
    this.closed = new Promise((resolve) => {
      session.once('close', () => {
        connection.destroy();
        resolve();
      });
    });
    if (connection.destroyed) session.destroy();
  }

  async unary<Req, Res>(
    service: ServiceDefinition,
    method: MethodDefinition<Req, Res>,
    request: Req,
    options: CallOptions = {},
  ): Promise<Res> {
    const call = this.stream(service, method, options);
    try {
      // A failed write is explained by the status that follows.
      call.write(request).catch((error: unknown) => {
        if (error instanceof BuildError && error.code === Code.ResourceExhausted) call.cancel(error);
      });
      call.end();
      const response = await call.read();
      // The status comes after the message and decides.
      const more = await call.read();
      if (response === undefined || more !== undefined) throw internal('the response is not exactly one message');
      return response;
    } finally {
      call.cancel();
    }
  }

  stream<Req, Res>(
    service: ServiceDefinition,
    method: MethodDefinition<Req, Res>,
    options: CallOptions = {},
  ): ClientStream<Req, Res> {
    throwIfAborted(options.signal);
    const path = `/${service.fullName}/${method.name}`;
    if (this.#session.destroyed || this.#session.closed) {
      const why = this.#lost === undefined ? '' : `: ${this.#lost.message}`;
      throw new BuildError(Code.Unavailable, `connection closed${why}`, { cause: this.#lost });
    }
    const headers: OutgoingHttpHeaders = {
      ':method': 'POST',
      ':path': path,
      'content-type': 'application/grpc',
      te: 'trailers',
      'user-agent': 'grpc-buildkit-ts',
    };
    if (options.timeoutMs !== undefined) headers['grpc-timeout'] = formatTimeout(options.timeoutMs);
    if (options.metadata !== undefined) encodeMetadata(options.metadata, headers);
    let stream;
    try {
      stream = this.#session.request(headers, { endStream: false });
    } catch (error) {
      throw new BuildError(Code.Unavailable, `cannot start a call: ${(error as Error).message}`, { cause: error });
    }
    const call = new OutgoingCall(stream, path, method, options);
    this.#running.add(call);
    stream.once('close', () => this.#running.delete(call));
    return call;
  }

  async close(): Promise<void> {
    for (const call of this.#running) call.cancel(new BuildError(Code.Canceled, 'the client connection is closing'));
    if (!this.#session.destroyed) {
      this.#session.close();
      const timer = setTimeout(() => this.#session.destroy(), CLOSE_PATIENCE_MS);
      await this.closed;
      clearTimeout(timer);
    }
  }
}

export function createChannel(connection: Duplex): Channel {
  return new GrpcChannel(new UnblockedDuplex(connection));
}

/**
 * The same on a bare socket to a daemon, which reads whatever else it does: nothing has to stand between, and Node moves
 * the bytes without a turn of JavaScript for each.
 */
export function createSocketChannel(socket: Socket): Channel {
  return new GrpcChannel(socket);
}
