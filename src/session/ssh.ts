import type { Duplex } from 'node:stream';
import { SSHDefinition } from '../proto/ssh.pb.ts';
import { bytesMethod, duplexFromCall } from '../rpc/index.ts';
import { META } from './keys.ts';
import type { SessionCaller } from './types.ts';

/** Throws when the client has no agent of that id (`default` when none was named). */
export async function checkSsh(caller: SessionCaller, id: string, signal?: AbortSignal): Promise<void> {
  await caller.channel.unary(SSHDefinition, SSHDefinition.methods.checkAgent, { ID: id }, { signal });
}

/** One connection to the client's agent. The caller owns the duplex. */
export function forwardSsh(caller: SessionCaller, id: string, signal?: AbortSignal): Duplex {
  const method = bytesMethod(SSHDefinition.methods.forwardAgent);
  return duplexFromCall(caller.channel.stream(SSHDefinition, method, { metadata: [[META.sshId, id]], signal }));
}
