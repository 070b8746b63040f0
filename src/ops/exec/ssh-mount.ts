/** The client's SSH agent as a socket that the step finds among its files. */
import { once } from 'node:events';
import { chmod, chown, mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { BuildError, Code, invalidArgument, logger, toBuildError } from '../../base/index.ts';
import type { SSHOpt } from '../../proto/ops.pb.ts';
import { checkSsh, forwardSsh } from '../../session/index.ts';
import type { SessionCaller, SessionManager } from '../../session/types.ts';
import type { JobContext } from '../../solver/types.ts';
import type { Mountable, MountSet } from '../../storage/types.ts';

const DEFAULT_ID = 'default';
/** A step that opens more at once is turned away. */
const MAX_CONNECTIONS = 256;

/** undefined: no agent, and it is optional. */
export async function sshMountable(
  sessions: SessionManager,
  option: SSHOpt | undefined,
  context: JobContext,
): Promise<Mountable | undefined> {
  if (option === undefined) throw invalidArgument('invalid ssh mount options');
  const { signal } = context;
  const caller = await sessions.any(
    () => context.sessions(),
    signal,
    async (candidate) => {
      try {
        await checkSsh(candidate, option.ID, signal);
        return candidate;
      } catch (error) {
        if (option.optional) return undefined;
        if (toBuildError(error).code !== Code.Unimplemented) throw error;
        throw new BuildError(Code.Unknown, `no SSH key "${option.ID}" forwarded from the client`, { cause: error });
      }
    },
  );
  return caller && { mounts: () => openSocket(caller, option) };
}

async function openSocket(caller: SessionCaller, option: SSHOpt): Promise<MountSet> {
  const dir = await mkdtemp(join(tmpdir(), '.buildkit-ssh-sock'));
  const abort = new AbortController();
  const connections = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    connections.add(socket);
    socket.once('close', () => connections.delete(socket));
    void relay(socket, () => forwardSsh(caller, option.ID === '' ? DEFAULT_ID : option.ID, abort.signal));
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
    await chown(path, option.uid, option.gid);
    await chmod(path, option.mode & 0o777);
    // Nobody comes in before the socket has its owner.
    await chmod(dir, 0o711);
    return { mounts: [{ type: 'bind', source: path, options: ['rbind'] }], release };
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
