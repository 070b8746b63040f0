import { SecretsDefinition } from '../proto/secrets.pb.ts';
import type { SessionCaller } from './types.ts';

/** Throws NotFound when the client does not have it, Unimplemented when it serves none. */
export async function fetchSecret(caller: SessionCaller, id: string, signal?: AbortSignal): Promise<Uint8Array> {
  const response = await caller.channel.unary(
    SecretsDefinition,
    SecretsDefinition.methods.getSecret,
    { ID: id, annotations: new Map() },
    { signal },
  );
  return response.data;
}
