/** The client's SSH agent as a socket that the step finds among its files. */
import { invalidArgument } from '../../base/index.ts';
import type { SSHOpt } from '../../proto/ops.pb.ts';
import { openAgentSocket, requireAgent } from '../../session/index.ts';
import type { SessionCaller, SessionManager } from '../../session/types.ts';
import type { Mountable, MountSet } from '../../storage/types.ts';
import type { StepContext } from './secrets.ts';

/** undefined: no agent, and it is optional. */
export async function sshMountable(
  sessions: SessionManager,
  option: SSHOpt | undefined,
  context: StepContext,
): Promise<Mountable | undefined> {
  if (option === undefined) throw invalidArgument('invalid ssh mount options');
  const { signal } = context;
  const caller = await sessions.any(
    () => context.sessions(),
    signal,
    async (candidate) => {
      try {
        await requireAgent(candidate, option.ID, signal);
        return candidate;
      } catch (error) {
        if (option.optional) return undefined;
        throw error;
      }
    },
  );
  return caller && { mounts: () => openSocket(caller, option) };
}

async function openSocket(caller: SessionCaller, option: SSHOpt): Promise<MountSet> {
  const { ID: id, uid, gid, mode } = option;
  const socket = await openAgentSocket(caller, { id, uid, gid, mode });
  return {
    mounts: [{ type: 'bind', source: socket.path, options: ['rbind'] }],
    release: () => socket.release(),
  };
}
