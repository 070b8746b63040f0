import { Duplex } from 'node:stream';
import { BuildError, Code, logger, sleep } from '../base/index.ts';
import { DuplexLink, fieldOf, Http2Connection, NO_ERROR } from './http2/index.ts';
import type { Fields, Http2Stream, Link } from './http2/index.ts';
import { IncomingCall } from './server-call.ts';
import type { Route } from './server-call.ts';
import type { Handlers, Server, ServiceDefinition } from './types.ts';

/** Services by path, served on any number of connections. */
class GrpcServer implements Server {
  readonly #routes = new Map<string, Route>();
  readonly #connections = new Set<Http2Connection>();
  readonly #calls = new Set<IncomingCall>();
  #closing = false;

  add<S extends ServiceDefinition>(service: S, handlers: Handlers<S>): void {
    for (const [key, method] of Object.entries(service.methods)) {
      const path = `/${service.fullName}/${method.name}`;
      if (this.#routes.has(path)) throw new BuildError(Code.AlreadyExists, `${path} is already served`);
      const handler = (handlers as Record<string, Route['handler']>)[key];
      this.#routes.set(path, { method, handler: handler?.bind(handlers) });
    }
  }

  methods(): string[] {
    return [...this.#routes].filter(([, route]) => route.handler !== undefined).map(([path]) => path);
  }

  async serve(transport: Duplex | Link): Promise<void> {
    const link = transport instanceof Duplex ? new DuplexLink(transport) : transport;
    const connection = new Http2Connection(link, (stream, fields) => this.#accept(stream, fields));
    if (this.#closing) connection.destroy();
    this.#connections.add(connection);
    await connection.closed;
    this.#connections.delete(connection);
  }

  #accept(stream: Http2Stream, fields: Fields): void {
    const isPost = fieldOf(fields, ':method') === 'POST';
    if (!isPost || fieldOf(fields, 'content-type')?.startsWith('application/grpc') !== true) {
      stream.events = {
        data: (chunk) => stream.taken(chunk.length),
        end() {},
        room() {},
        ended: () => {
          if (!stream.remoteEnded) stream.reset(NO_ERROR);
        },
        close() {},
      };
      stream.end([':status', isPost ? '415' : '405']);
      return;
    }
    const call = new IncomingCall(stream, fields);
    if (this.#closing) {
      call.finish(new BuildError(Code.Unavailable, 'the server is shutting down'));
      return;
    }
    this.#calls.add(call);
    void call
      .run(this.#routes.get(call.path))
      .then(() => call.done)
      .catch((error: unknown) => logger.error('call failed', { path: call.path, error }))
      .finally(() => this.#calls.delete(call));
  }

  async close(graceMs: number): Promise<void> {
    this.#closing = true;
    const closed = Promise.all([...this.#connections].map((c) => c.closed));
    for (const connection of this.#connections) connection.close();
    const patience = new AbortController();
    await Promise.race([closed, sleep(graceMs, patience.signal).catch(() => {})]);
    patience.abort();
    for (const call of this.#calls) call.cancel(new BuildError(Code.Unavailable, 'the server is shutting down'));
    // One turn for the statuses of the cancelled calls.
    await new Promise((resolve) => setImmediate(resolve));
    for (const connection of this.#connections) connection.destroy();
    await closed;
  }
}

export function createServer(): Server {
  return new GrpcServer();
}
