/**
 * Where clients connect: unix sockets, TCP with or without mutual TLS, and sockets that systemd hands over. Each
 * accepted connection goes to `serve` as a plain byte stream.
 */
import { chmodSync, chownSync, mkdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createServer, connect } from 'node:net';
import type { Server, Socket } from 'node:net';
import { dirname } from 'node:path';
import { createServer as createTlsServer } from 'node:tls';
import type { TLSSocket } from 'node:tls';
import { BuildError, Code, invalidArgument, logger, wrapError } from '../base/index.ts';
import { KEEP_ALIVE_MS } from '../rpc/index.ts';
import type { TlsConfig } from './config.ts';

export interface ListenOptions {
  readonly uid: number | undefined;
  readonly gid: number | undefined;
  /** Undefined: what is served is never behind TLS. */
  readonly tls: TlsConfig | undefined;
  /** Of a unix socket's file. */
  readonly mode?: number;
  readonly serve: (connection: Socket) => Promise<void>;
}

export interface Listener {
  readonly address: string;
  /** Lets nobody in any more, and ends the connections that stand. */
  close(): Promise<void>;
}

function tlsMaterial(tls: TlsConfig): { cert: Buffer; key: Buffer; ca?: Buffer } | undefined {
  if (tls.cert === '' && tls.key === '' && tls.ca === '') return undefined;
  if (tls.cert === '' || tls.key === '')
    throw invalidArgument('you must specify key and cert file if one is specified');
  try {
    return {
      cert: readFileSync(tls.cert),
      key: readFileSync(tls.key),
      ca: tls.ca === '' ? undefined : readFileSync(tls.ca),
    };
  } catch (error) {
    throw wrapError(error, 'could not load server key pair');
  }
}

/** A machine that is gone says nothing of it. */
const TCP = { noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS } as const;

/** Connections that stand, by their server. */
const connections = new WeakMap<Server, Set<Socket>>();

function makeServer(options: ListenOptions, secure: boolean): Server {
  const open = new Set<Socket>();
  const accept = (socket: Socket): void => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
    socket.on('error', () => {}); // a client that vanishes is the connection's end, not the daemon's
    options.serve(socket).catch((error: unknown) => logger.debug('connection ended', { error }));
  };
  const material = secure && options.tls !== undefined ? tlsMaterial(options.tls) : undefined;
  if (material === undefined) {
    const server = createServer(TCP, accept);
    connections.set(server, open);
    return server;
  }
  const mutual = material.ca !== undefined;
  const server = createTlsServer(
    {
      ...TCP,
      ...material,
      requestCert: mutual,
      rejectUnauthorized: mutual,
      ALPNProtocols: ['h2'],
      minVersion: 'TLSv1.2',
    },
    (socket: TLSSocket) => accept(socket),
  );
  connections.set(server, open);
  server.on('tlsClientError', (error: Error) => logger.debug('TLS handshake failed', { error }));
  return server;
}

function listen(server: Server, where: object): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(where, () => {
      server.removeListener('error', reject);
      server.on('error', (error) => logger.error('listener failed', { error }));
      resolve();
    });
  });
}

/** True when somebody answers on that socket: then its file may not be taken away from under him. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(path);
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', () => resolve(false));
  });
}

async function listenUnix(path: string, options: ListenOptions): Promise<Listener> {
  mkdirSync(dirname(path), { recursive: true, mode: 0o711 });
  if (await answers(path)) throw invalidArgument(`listen unix ${path}: bind: address already in use`);
  rmSync(path, { force: true });
  const { cert = '', key = '' } = options.tls ?? {};
  if (cert !== '' || key !== '') logger.warn('TLS is disabled for unix listeners', { path });
  const server = makeServer(options, false);
  await listen(server, { path });
  chmodSync(path, options.mode ?? 0o660);
  chownSync(path, options.uid ?? process.getuid?.() ?? 0, options.gid ?? process.getgid?.() ?? 0);
  const inode = statSync(path).ino;
  return {
    address: `unix://${path}`,
    async close() {
      await closeServer(server);
      // Node removes the file itself; a successor's socket of the same name must stay.
      if (statSync(path, { throwIfNoEntry: false })?.ino === inode) rmSync(path, { force: true });
    },
  };
}

async function listenTcp(hostPort: string, options: ListenOptions): Promise<Listener> {
  const m = /^(.*):(\d+)$/.exec(hostPort);
  if (m === null) throw invalidArgument(`listen tcp: address ${hostPort}: missing port in address`);
  if (Number(m[2]) > 65_535) throw invalidArgument(`listen tcp: address ${m[2]}: invalid port`);
  const server = makeServer(options, true);
  if (options.tls?.cert === '')
    logger.warn('TLS is not enabled for tcp listener: enabling mutual TLS authentication is highly recommended', {
      address: hostPort,
    });
  try {
    await listen(server, { host: m[1].replace(/^\[|\]$/g, '') || undefined, port: Number(m[2]) });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    throw new BuildError(Code.FailedPrecondition, `listen tcp ${hostPort}: bind: address already in use`, {
      cause: error,
    });
  }
  const bound = server.address();
  const port = bound !== null && typeof bound === 'object' ? bound.port : Number(m[2]);
  return { address: `tcp://${m[1]}:${port}`, close: () => closeServer(server) };
}

/** Descriptors from 3 on, as systemd passes them (sd_listen_fds(3)). */
async function listenInherited(options: ListenOptions): Promise<Listener> {
  const count = Number(process.env.LISTEN_FDS ?? '0');
  if (process.env.LISTEN_PID !== String(process.pid) || !(count > 0)) {
    throw invalidArgument('no sockets found via socket activation: make sure the service was started by systemd');
  }
  if (count > 1) logger.warn('only the first of several inherited sockets is used', { count });
  const server = makeServer(options, true);
  await listen(server, { fd: 3 });
  return { address: 'fd://', close: () => closeServer(server) };
}

function closeServer(server: Server): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  for (const socket of connections.get(server) ?? []) socket.destroy();
  return closed;
}

/** `unix://path`, `tcp://host:port` or `fd://`. */
export async function openListener(address: string, options: ListenOptions): Promise<Listener> {
  const at = address.indexOf('://');
  if (at < 0) throw invalidArgument(`address ${address} does not contain proto, you meant unix://${address} ?`);
  const rest = address.slice(at + 3);
  switch (address.slice(0, at)) {
    case 'unix':
      return listenUnix(rest, options);
    case 'tcp':
      return listenTcp(rest, options);
    case 'fd':
      return listenInherited(options);
    default:
      throw invalidArgument(`addr ${address} not supported`);
  }
}
