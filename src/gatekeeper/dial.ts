/** Connections to servers, from the host or from within a network namespace. */
import { lookup } from 'node:dns/promises';
import { Agent } from 'node:http';
import type { ClientRequestArgs } from 'node:http';
import { Agent as TlsAgent } from 'node:https';
import { connect, isIP, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect as connectTls } from 'node:tls';
import { noTlsOptions, secureContext } from '../http/index.ts';
import { inNetworkNamespace, makeTcpSocket } from '../host/index.ts';
import type { Egress } from './types.ts';

export interface Agents {
  readonly plain: Agent;
  readonly secure: TlsAgent;
  /** Ends all connections, those that are being made too. */
  close(): void;
}

interface Way {
  readonly egress: Egress;
  /** Ends what it leads to. */
  readonly signal: AbortSignal;
}

type OnConnection = (error: Error | null, socket?: Duplex) => void;

const MAX_CONNECT_MS = 30_000;
/** Idle connections that wait for the next request, to all servers together. */
const MAX_IDLE = 64;
const MAX_IDLE_MS = 30_000;

function timeout(): NodeJS.ErrnoException {
  return Object.assign(new Error('i/o timeout'), { code: 'ETIMEDOUT' });
}

/** Resolves when it is connected; it is destroyed otherwise. */
function connected(socket: Socket, deadline: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => socket.destroy(timeout()), Math.max(0, deadline - performance.now()));
    const settle = (): void => {
      clearTimeout(timer);
      socket.off('connect', onConnect).off('error', onError).off('close', onClose);
    };
    const onConnect = (): void => {
      settle();
      // Between its owners, and below TLS, nobody listens: one that ends then would end the thread.
      socket.on('error', () => {});
      resolve(socket);
    };
    const onError = (error: Error): void => {
      settle();
      reject(error);
    };
    const onClose = (): void => onError(new Error('connection closed'));
    socket.on('connect', onConnect).on('error', onError).on('close', onClose);
  });
}

/** One address after the other, as the namespace may have only one family's routes. */
async function dialWithin(
  namespace: string,
  signal: AbortSignal,
  host: string,
  port: number,
  deadline: number,
): Promise<Socket> {
  const addresses = isIP(host) === 0 ? await lookup(host, { all: true }) : [{ address: host, family: isIP(host) }];
  let failure: unknown = new Error('no address');
  for (const { address, family } of addresses) {
    signal.throwIfAborted();
    const fd = inNetworkNamespace(namespace, () => makeTcpSocket(family === 6 ? 6 : 4));
    const socket = new Socket({ fd, readable: true, writable: true, signal });
    socket.connect({ host: address, port });
    try {
      return await connected(socket, deadline);
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}

function dial({ egress, signal }: Way, host: string, port: number): Promise<Socket> {
  const deadline = performance.now() + MAX_CONNECT_MS;
  if (egress.kind === 'path') return dialWithin(egress.path, signal, host, port, deadline);
  return connected(connect({ host, port, signal }), deadline);
}

function dialOptions(options: ClientRequestArgs): { host: string; port: number } {
  return { host: String(options.host), port: Number(options.port) };
}

/** Waits, too: a server that takes the connection and says nothing is no better than one that takes none. */
function startTls(socket: Socket, host: string, context: ReturnType<typeof secureContext>): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const name = isIP(host) === 0 ? { servername: host } : {};
    const tls = connectTls({ socket, secureContext: context, host, ALPNProtocols: ['http/1.1'], ...name });
    const timer = setTimeout(() => tls.destroy(timeout()), MAX_CONNECT_MS);
    const settle = (): void => {
      clearTimeout(timer);
      tls.off('secureConnect', onSecure).off('error', onError).off('close', onClose);
    };
    const onSecure = (): void => {
      settle();
      resolve(tls);
    };
    const onError = (error: Error): void => {
      settle();
      socket.destroy();
      reject(error);
    };
    const onClose = (): void => onError(Object.assign(new Error('EOF'), { code: 'ECONNRESET' }));
    tls.on('secureConnect', onSecure).on('error', onError).on('close', onClose);
  });
}

function report(connection: Promise<Duplex>, onConnection: OnConnection): void {
  connection.then(
    (socket) => onConnection(null, socket),
    (error: unknown) => onConnection(error as Error),
  );
}

/** For one step: connections end with it. `maxSockets`: at a time, to all servers together. */
export function createAgents(egress: Egress, maxSockets: number): Agents {
  const common = { keepAlive: true, maxTotalSockets: maxSockets, maxFreeSockets: MAX_IDLE, timeout: MAX_IDLE_MS };
  const abort = new AbortController();
  const way: Way = { egress, signal: abort.signal };
  let trusted: ReturnType<typeof secureContext> | undefined;
  class PlainEgress extends Agent {
    override createConnection(options: ClientRequestArgs, onConnection: OnConnection): undefined {
      const { host, port } = dialOptions(options);
      report(dial(way, host, port), onConnection);
    }
  }
  class SecureEgress extends TlsAgent {
    override createConnection(options: ClientRequestArgs, onConnection: OnConnection): undefined {
      const { host, port } = dialOptions(options);
      // Reading the authorities takes a while: not for those who never need them.
      const context = (trusted ??= secureContext(noTlsOptions));
      report(
        dial(way, host, port).then((socket) => startTls(socket, host, context)),
        onConnection,
      );
    }
  }
  const plain = new PlainEgress(common);
  const secure = new SecureEgress(common);
  return {
    plain,
    secure,
    close() {
      abort.abort();
      plain.destroy();
      secure.destroy();
    },
  };
}
