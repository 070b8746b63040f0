/** What goes to an SSH agent and back: each message after its length (draft-ietf-sshm-ssh-agent). */
import type { Duplex } from 'node:stream';
import { BuildError, Code } from '../../base/index.ts';

/** A whole message: SSH_AGENT_FAILURE. */
export const FAILURE = Buffer.from([0, 0, 0, 1, 5]);
const MAX_AGENT_MESSAGE = 256 << 10;

/** With their lengths, until the stream ends; it is not destroyed. */
export async function* agentMessages(stream: Duplex): AsyncGenerator<Buffer> {
  let held: Buffer = Buffer.alloc(0);
  for await (const chunk of stream.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    held = Buffer.concat([held, chunk]);
    while (held.length >= 4) {
      const end = 4 + held.readUInt32BE(0);
      if (end > MAX_AGENT_MESSAGE) throw new BuildError(Code.InvalidArgument, 'agent message is too long');
      if (held.length < end) break;
      yield held.subarray(0, end);
      held = held.subarray(end);
    }
  }
}
