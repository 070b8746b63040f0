import { once } from 'node:events';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { BuildError, Code } from '../../base/index.ts';
import { SSHDefinition } from '../../proto/ssh.pb.ts';
import { bytesMethod, duplexFromServerCall } from '../../rpc/index.ts';
import { META } from '../keys.ts';
import { agentMessages, FAILURE } from './agent-messages.ts';
import { keyAnswers } from './key-agent.ts';
import type { Attachable } from './session.ts';
import type { SigningKey } from './ssh-key.ts';

/** The socket of an agent, or keys that this process signs with itself. */
export type AgentSource =
  | {
      readonly socket: string;
      /** Forward the socket as it is; otherwise only listing keys and signing pass. */
      readonly raw?: boolean;
    }
  | { readonly keys: readonly SigningKey[] };

const ALLOWED = new Set([11, 13]);

/** One request, one answer, in turn. */
async function* readOnlyAnswers(client: Duplex, agent: Socket): AsyncGenerator<Buffer> {
  const replies = agentMessages(agent);
  for await (const request of agentMessages(client)) {
    if (!ALLOWED.has(request[4])) {
      yield FAILURE;
      continue;
    }
    agent.write(request);
    const reply = await replies.next();
    if (reply.done === true) return;
    yield reply.value;
  }
}

/** Until one of the two has ended. */
async function forward(client: Duplex, source: AgentSource, signal: AbortSignal): Promise<void> {
  if ('keys' in source) {
    await pipeline(keyAnswers(client, source.keys), client);
    return;
  }
  const agent = connect(source.socket);
  agent.on('error', () => {});
  try {
    await once(agent, 'connect', { signal });
    if (source.raw === true) await Promise.all([pipeline(client, agent), pipeline(agent, client)]);
    else await pipeline(readOnlyAnswers(client, agent), client);
  } finally {
    agent.destroy();
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
          const { duplex, finished } = duplexFromServerCall(input, output, call.signal);
          duplex.on('error', () => {});
          try {
            await Promise.all([forward(duplex, source, call.signal), finished]);
          } finally {
            duplex.destroy();
          }
        },
      }),
  };
}
