import { Code, notFound, toBuildError } from '../base/index.ts';
import { SecretsDefinition } from '../proto/secrets.pb.ts';
import type { SessionCaller } from './types.ts';

/** Throws NotFound when the client does not have it or serves none. */
export async function fetchSecret(caller: SessionCaller, id: string, signal?: AbortSignal): Promise<Uint8Array> {
  const request = { ID: id, annotations: new Map<string, string>() };
  try {
    const { getSecret } = SecretsDefinition.methods;
    return (await caller.channel.unary(SecretsDefinition, getSecret, request, { signal })).data;
  } catch (error) {
    const { code } = toBuildError(error);
    if (code === Code.NotFound || code === Code.Unimplemented)
      throw notFound(`secret ${id}: not found`, { cause: error });
    throw error;
  }
}
