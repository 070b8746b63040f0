import { once } from 'node:events';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { BuildError, Code } from '../../base/index.ts';
import { SSHDefinition } from '../../proto/ssh.pb.ts';
import { bytesMethod, duplexFromServerCall } from '../../rpc/index.ts';
import { META } from '../keys.ts';
import type { Attachable } from './session.ts';

export interface AgentSource {
  readonly socket: string;
  /** Forward the socket as it is; otherwise only listing keys and signing pass. */
  readonly raw?: boolean;
}

/** draft-ietf-sshm-ssh-agent, message numbers. */
const FAILURE = Buffer.from([0, 0, 0, 1, 5]);
const ALLOWED = new Set([11, 13]);
const MAX_AGENT_MESSAGE = 256 << 10;

async function* agentMessages(stream: Duplex): AsyncGenerator<Buffer> {
  let held: Buffer = Buffer.alloc(0);
  for await (const chunk of stream as AsyncIterable<Buffer>) {
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

/** One request, one answer, in turn. */
async function proxyReadOnly(client: Duplex, agent: Socket): Promise<void> {
  const replies = agentMessages(agent);
  for await (const request of agentMessages(client)) {
    if (!ALLOWED.has(request[4])) {
      client.write(FAILURE);
      continue;
    }
    agent.write(request);
    const reply = await replies.next();
    if (reply.done === true) return;
    client.write(reply.value);
  }
}

export function provideAgents(agents: ReadonlyMap<string, AgentSource>): Attachable {
  const find = (id: string): AgentSource => {
    const agent = agents.get(id === '' ? 'default' : id);
    if (agent === undefined) throw new BuildError(Code.Unknown, `unset ssh forward key ${id === '' ? 'default' : id}`);
    return agent;
  };
  const { checkAgent } = SSHDefinition.methods;
  const service = {
    fullName: SSHDefinition.fullName,
    methods: { checkAgent, forwardAgent: bytesMethod(SSHDefinition.methods.forwardAgent) },
  };
  return {
    register: (server) =>
      server.add(service, {
        checkAgent: async ({ ID }) => {
          find(ID);
          return {};
        },
        forwardAgent: async (input, output, call) => {
          const source = find(call.metadata.get(META.sshId)?.[0] ?? '');
          const agent = connect(source.socket);
          agent.on('error', () => {});
          await once(agent, 'connect', { signal: call.signal });
          const { duplex, finished } = duplexFromServerCall(input, output, call.signal);
          duplex.on('error', () => {});
          try {
            if (source.raw === true) await Promise.all([pipeline(duplex, agent), pipeline(agent, duplex), finished]);
            else {
              await proxyReadOnly(duplex, agent);
              duplex.end();
              await finished;
            }
          } finally {
            agent.destroy();
            duplex.destroy();
          }
        },
      }),
  };
}
