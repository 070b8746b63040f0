/** Credentials for registries come from the clients of the builds that ask. */
import { createHash } from 'node:crypto';
import { toBuildError, Code } from '../base/index.ts';
import type { RegistryAuth } from '../registry/types.ts';
import { fetchCredentials, fetchToken, fetchTokenAuthority } from '../session/index.ts';
import type { SessionManager } from '../session/types.ts';

/** A build without clients, or whose clients have left, is anonymous. */
async function orAnonymous<T>(work: Promise<T | undefined>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    const { code, message } = toBuildError(error);
    if (code === Code.NotFound || message.includes('no active session')) return undefined;
    throw error;
  }
}

/** Tokens that one group of sessions got are not used for another. */
export function createSessionAuth(
  sessions: SessionManager,
  group: () => readonly string[],
  signal?: AbortSignal,
): RegistryAuth {
  const ids = group();
  return {
    id: createHash('sha256').update(JSON.stringify(ids)).digest('hex'),
    fetchToken: async (request) => {
      if (group().length === 0) return undefined;
      return orAnonymous(
        sessions.any(group, signal, async (caller) => {
          // A client without an authority hands out passwords instead.
          if ((await fetchTokenAuthority(caller, request.host, signal)) === undefined) return undefined;
          const { token, expiresInSeconds, issuedAt } = await fetchToken(caller, request, signal);
          return { token, expiresInMs: expiresInSeconds * 1000, issuedAtMs: (issuedAt ?? 0) * 1000 };
        }),
      );
    },
    credentials: async (host) => {
      if (group().length === 0) return undefined;
      return orAnonymous(sessions.any(group, signal, (caller) => fetchCredentials(caller, host, signal)));
    },
  };
}
