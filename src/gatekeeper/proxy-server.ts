/** A step's proxy: requests for http, and tunnels for https in which it is the server. */
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerOptions, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import { createAgents } from './dial.ts';
import type { Agents } from './dial.ts';
import { MAX_CONNECTIONS, MAX_HEADER_BYTES, MAX_HEADER_MS, MAX_IDLE_MS, MAX_RUNNING, SILENCE_MS } from './limits.ts';
import { passOn, refuse } from './pass-on.ts';
import type { ServerContexts } from './server-contexts.ts';
import { NoTarget, targetInTunnel, targetOf, targetOfRequest, tunnelTarget } from './target.ts';
import type { Target } from './target.ts';
import type { Egress, Judge, Note } from './types.ts';

export interface ProxyOptions {
  readonly egress: Egress;
  readonly contexts: ServerContexts;
  readonly judge: Judge | undefined;
  readonly note: (note: Note) => void;
}

const SERVER: ServerOptions = {
  maxHeaderSize: MAX_HEADER_BYTES,
  headersTimeout: MAX_HEADER_MS,
  // Uploads may take long; what counts is silence.
  requestTimeout: 0,
  keepAliveTimeout: MAX_IDLE_MS,
  connectionsCheckingInterval: 5000,
};
/** The other side's silence is told as an answer, so it comes first. */
const STEP_SILENCE_MS = SILENCE_MS + 60_000;
/** How long what a step has begun may take to be noted after its end. */
const SETTLE_MS = 500;

function discardErrors(): void {}

export class ProxyServer {
  readonly #options: ProxyOptions;
  readonly #agents: Agents;
  readonly #outer: Server;
  /** Takes what comes out of tunnels; listens nowhere. */
  readonly #inner: Server;
  readonly #tunnels = new WeakMap<object, Target>();
  readonly #sockets = new Set<Duplex>();
  readonly #running = new Set<Promise<void>>();

  constructor(options: ProxyOptions) {
    this.#options = options;
    this.#agents = createAgents(options.egress, MAX_CONNECTIONS);
    this.#inner = createServer(SERVER, (request, response) => this.#take(request, response));
    this.#outer = createServer(SERVER, (request, response) => this.#take(request, response));
    this.#outer.maxConnections = MAX_CONNECTIONS;
    this.#outer.on('connection', (socket: Socket) => this.#own(socket));
    this.#outer.on('connect', (request, socket, head) => this.#openTunnel(request, socket, head));
    for (const server of [this.#inner, this.#outer]) {
      server.timeout = STEP_SILENCE_MS;
      // Clients such as busybox' wget say at once that they will ask for nothing else, and wait for the answer.
      (server as Server & { httpAllowHalfOpen: boolean }).httpAllowHalfOpen = true;
      server.on('clientError', (_error, socket) => {
        if (socket.writable) socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n');
        else socket.destroy();
      });
    }
  }

  /** On a socket that listens already; it is the server's from then on. Resolves to the port. */
  listen(fd: number): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#outer.once('error', reject);
      this.#outer.listen({ fd }, () => {
        this.#outer.off('error', reject);
        const address = this.#outer.address();
        if (typeof address === 'object' && address !== null) resolve(address.port);
        else reject(new Error('the proxy does not listen'));
      });
    });
  }

  /** Resolves when everything is noted and nothing is open. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#outer.close(() => resolve()));
    const timer = setTimeout(() => this.#hangUp(), SETTLE_MS);
    while (this.#running.size > 0) await Promise.all(this.#running);
    clearTimeout(timer);
    this.#hangUp();
    await closed;
    this.#inner.close();
    this.#agents.close();
  }

  /** What runs for a connection ends with it. */
  #hangUp(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  #own(socket: Duplex): void {
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
    // The server listens for them only while it has the connection.
    socket.on('error', discardErrors);
  }

  #openTunnel(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    let target: Target;
    let secureContext: ReturnType<ServerContexts['get']>;
    try {
      target = tunnelTarget(request.url ?? '');
      secureContext = this.#options.contexts.get(target.host);
    } catch {
      socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n');
      return;
    }
    socket.write('HTTP/1.1 200 Connection Established\r\n\r\n');
    if (head.length > 0) socket.unshift(head);
    const tls = new TLSSocket(socket as Socket, { isServer: true, secureContext, ALPNProtocols: ['http/1.1'] });
    this.#own(tls);
    tls.once('close', () => socket.destroy());
    const timer = setTimeout(() => tls.destroy(), MAX_HEADER_MS);
    tls.once('close', () => clearTimeout(timer));
    tls.once('secure', () => {
      clearTimeout(timer);
      this.#tunnels.set(tls, target);
      this.#inner.emit('connection', tls);
    });
  }

  #take(request: IncomingMessage, response: ServerResponse): void {
    if (this.#running.size >= MAX_RUNNING) {
      request.socket.destroy();
      return;
    }
    const gone = new AbortController();
    response.once('close', () => {
      if (!response.writableFinished) gone.abort();
    });
    response.on('error', discardErrors);
    request.on('error', discardErrors);
    const work: Promise<void> = this.#serve(request, response, gone.signal)
      .catch(() => void response.destroy())
      .finally(() => this.#running.delete(work));
    this.#running.add(work);
  }

  async #serve(request: IncomingMessage, response: ServerResponse, signal: AbortSignal): Promise<void> {
    response.sendDate = false;
    let target: Target;
    try {
      const tunnel = this.#tunnels.get(request.socket);
      const asked = request.url ?? '';
      target = tunnel === undefined ? targetOfRequest(asked, request.headers.host) : targetInTunnel(tunnel, asked);
    } catch (error) {
      refuse(response, 400, error instanceof NoTarget ? error.message : 'Bad Request');
      return;
    }
    try {
      target = await this.#judged(request.method ?? 'GET', target, signal);
    } catch {
      refuse(response, 403, 'Forbidden');
      return;
    }
    if (signal.aborted) return;
    await passOn(request, response, target, { agents: this.#agents, note: this.#options.note, signal });
  }

  async #judged(method: string, target: Target, signal: AbortSignal): Promise<Target> {
    const instead = await this.#options.judge?.({ method, url: target.url }, signal);
    return instead === undefined ? target : targetOf(instead);
  }
}
