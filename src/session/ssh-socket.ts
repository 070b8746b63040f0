/** A client's SSH agent as a socket of this machine, for programs that look for one. */
import { once } from 'node:events';
import { chmod, chown, mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { BuildError, Code, logger, toBuildError } from '../base/index.ts';
import { checkSsh, forwardSsh } from './ssh.ts';
import type { SessionCaller } from './types.ts';

export interface AgentSocketOptions {
  /** '' is the agent called `default`. */
  readonly id: string;
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
}

export interface AgentSocket {
  readonly path: string;
  /** Ends its connections, too. */
  release(): Promise<void>;
}

const DEFAULT_ID = 'default';
/** Who opens more at once is turned away. */
const MAX_CONNECTIONS = 256;

/** Throws when the client has no agent of that id, or none at all. */
export async function requireAgent(caller: SessionCaller, id: string, signal?: AbortSignal): Promise<void> {
  try {
    await checkSsh(caller, id, signal);
  } catch (error) {
    if (toBuildError(error).code !== Code.Unimplemented) throw error;
    throw new BuildError(Code.Unknown, `no SSH key "${id}" forwarded from the client`, { cause: error });
  }
}

export async function openAgentSocket(caller: SessionCaller, options: AgentSocketOptions): Promise<AgentSocket> {
  const dir = await mkdtemp(join(tmpdir(), '.buildkit-ssh-sock'));
  const abort = new AbortController();
  const connections = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    connections.add(socket);
    socket.once('close', () => connections.delete(socket));
    void relay(socket, () => forwardSsh(caller, options.id === '' ? DEFAULT_ID : options.id, abort.signal));
  });
  server.maxConnections = MAX_CONNECTIONS;
  const release = async (): Promise<void> => {
    abort.abort();
    for (const socket of connections) socket.destroy();
    if (server.listening) await new Promise<void>((resolve) => void server.close(() => resolve()));
    await rm(dir, { recursive: true, force: true });
  };
  try {
    const path = join(dir, 'ssh_auth_sock');
    server.listen(path);
    await once(server, 'listening');
    server.on('error', (error) => logger.warn('ssh agent socket failed', { error }));
    await chown(path, options.uid, options.gid);
    await chmod(path, options.mode & 0o777);
    // Nobody comes in before the socket has its owner.
    await chmod(dir, 0o711);
    return { path, release };
  } catch (error) {
    await release();
    throw error;
  }
}

/** An agent that hangs up, or a client that goes, ends this connection and no more. */
async function relay(socket: Socket, open: () => Duplex): Promise<void> {
  let agent: Duplex | undefined;
  try {
    agent = open();
    await Promise.all([pipeline(socket, agent), pipeline(agent, socket)]);
  } catch (error) {
    logger.debug('ssh agent connection ended', { error });
  } finally {
    agent?.destroy();
    socket.destroy();
  }
}
