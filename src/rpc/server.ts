import { performServerHandshake } from 'node:http2';
import type { IncomingHttpHeaders, ServerHttp2Session, ServerHttp2Stream } from 'node:http2';
import type { Duplex } from 'node:stream';
import { BuildError, Code, logger, sleep } from '../base/index.ts';
import { SESSION_OPTIONS, WINDOW } from './limits.ts';
import { IncomingCall } from './server-call.ts';
import type { Route } from './server-call.ts';
import { UnblockedDuplex } from './unblocked.ts';
import type { Handlers, Server, ServiceDefinition } from './types.ts';

/** Services by path, served on any number of connections. */
class GrpcServer implements Server {
  readonly #routes = new Map<string, Route>();
  readonly #sessions = new Set<ServerHttp2Session>();
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

  serve(transport: Duplex): Promise<void> {
    return new Promise((resolve) => {
      const connection = new UnblockedDuplex(transport);
      connection.on('error', (error) => logger.debug('connection failed', { error }));
      if (connection.destroyed || this.#closing) {
        connection.destroy();
        resolve();
        return;
      }
      const session = performServerHandshake(connection, SESSION_OPTIONS);
      session.setLocalWindowSize(WINDOW);
      this.#sessions.add(session);
      session.on('error', (error) => logger.debug('connection failed', { error }));
      session.on('stream', (stream, headers, _flags, raw) =>
        this.#accept(stream, headers, raw as unknown as string[] | undefined),
      );
      const end = (): void => {
        session.destroy();
      };
      connection.once('close', end);
      connection.once('end', end);
      session.once('close', () => {
        connection.off('close', end);
        connection.off('end', end);
        this.#sessions.delete(session);
        connection.destroy();
        resolve();
      });
    });
  }

  #accept(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, raw: string[] | undefined): void {
    if (headers[':method'] !== 'POST' || !String(headers['content-type']).startsWith('application/grpc')) {
      stream.on('error', () => {});
      stream.resume();
      stream.respond({ ':status': headers[':method'] === 'POST' ? 415 : 405 }, { endStream: true });
      return;
    }
    const call = new IncomingCall(stream, headers, raw);
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
    const closed = Promise.all(
      [...this.#sessions].map((s) => new Promise<void>((r) => void s.once('close', () => r()))),
    );
    for (const session of this.#sessions) session.close();
    const patience = new AbortController();
    await Promise.race([closed, sleep(graceMs, patience.signal).catch(() => {})]);
    patience.abort();
    for (const call of this.#calls) call.cancel(new BuildError(Code.Unavailable, 'the server is shutting down'));
    // One turn for the statuses of the cancelled calls.
    await new Promise((resolve) => setImmediate(resolve));
    for (const session of this.#sessions) session.destroy();
    await closed;
  }
}

export function createServer(): Server {
  return new GrpcServer();
}
