import { Duplex } from 'node:stream';
import { BuildError, Code, internal, throwIfAborted } from '../base/index.ts';
import { OutgoingCall } from './client-call.ts';
import { DuplexLink, Http2Connection } from './http2/index.ts';
import type { Link } from './http2/index.ts';
import { encodeMetadata, formatTimeout } from './metadata.ts';
import type { CallOptions, Channel, ClientStream, MethodDefinition, ServiceDefinition } from './types.ts';

/** Of every request. */
const CONSTANT = ['content-type', 'application/grpc', 'te', 'trailers', 'user-agent', 'grpc-buildkit-ts'];

/** Calls over one connection; it does not reconnect. It owns the connection. */
class GrpcChannel implements Channel {
  readonly #connection: Http2Connection;
  readonly #running = new Set<ClientStream<any, any>>();
  readonly closed: Promise<void>;

  constructor(link: Link) {
    this.#connection = new Http2Connection(link);
    this.closed = this.#connection.closed;
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
    const connection = this.#connection;
    if (!connection.isOpen) {
      const why = connection.lost === undefined ? '' : `: ${connection.lost.message}`;
      throw new BuildError(Code.Unavailable, `connection closed${why}`, { cause: connection.lost });
    }
    const fields = [':method', 'POST', ':scheme', 'http', ':path', path, ':authority', 'localhost', ...CONSTANT];
    if (options.timeoutMs !== undefined) fields.push('grpc-timeout', formatTimeout(options.timeoutMs));
    if (options.metadata !== undefined) encodeMetadata(options.metadata, fields);
    try {
      const call = new OutgoingCall(connection, fields, method, options, (one) => this.#running.delete(one));
      this.#running.add(call);
      return call;
    } catch (error) {
      throw new BuildError(Code.Unavailable, `cannot start a call: ${(error as Error).message}`, { cause: error });
    }
  }

  async close(): Promise<void> {
    for (const call of this.#running) call.cancel(new BuildError(Code.Canceled, 'the client connection is closing'));
    this.#connection.close();
    this.#connection.destroy();
    await this.closed;
  }
}

/** It owns the connection. */
export function createChannel(connection: Duplex | Link): Channel {
  return new GrpcChannel(connection instanceof Duplex ? new DuplexLink(connection) : connection);
}
