/** An agent of SSH that has keys from files: it lists them and signs with them, and takes no other request. */
import type { Duplex } from 'node:stream';
import { agentMessages, FAILURE } from './agent-messages.ts';
import type { SigningKey } from './ssh-key.ts';
import { SshReader, sshString, sshUint32 } from './ssh-wire.ts';

/** draft-ietf-sshm-ssh-agent, section 6.1 */
const REQUEST_IDENTITIES = 11;
const IDENTITIES_ANSWER = 12;
const SIGN_REQUEST = 13;
const SIGN_RESPONSE = 14;

function answer(request: Buffer, keys: readonly SigningKey[]): Buffer {
  switch (request[4]) {
    case REQUEST_IDENTITIES: {
      const list = keys.flatMap(({ blob }) => [sshString(blob), sshString('')]);
      return sshString(Buffer.concat([Buffer.of(IDENTITIES_ANSWER), sshUint32(keys.length), ...list]));
    }
    case SIGN_REQUEST: {
      const reader = new SshReader(request.subarray(5));
      const blob = reader.string();
      const data = reader.string();
      const key = keys.find((k) => k.blob.equals(blob));
      if (key === undefined) return FAILURE;
      return sshString(Buffer.concat([Buffer.of(SIGN_RESPONSE), sshString(key.sign(data, reader.uint32()))]));
    }
    default:
      return FAILURE;
  }
}

/** The answers to what the peer asks. A request that cannot be read is refused; it does not end the conversation. */
export async function* keyAnswers(peer: Duplex, keys: readonly SigningKey[]): AsyncGenerator<Buffer> {
  for await (const request of agentMessages(peer)) {
    let reply: Buffer;
    try {
      reply = answer(request, keys);
    } catch {
      reply = FAILURE;
    }
    yield reply;
  }
}
