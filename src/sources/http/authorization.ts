/** Who asks, told by the secrets of the clients that build. */
import { throwIfAborted, wrapError } from '../../base/index.ts';
import { fetchSecret } from '../../session/index.ts';
import type { SessionManager } from '../../session/types.ts';
import type { JobContext } from '../../solver/types.ts';
import type { HttpSource } from './attributes.ts';

/** A header value has a character a byte. */
function latin(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
}

/** The Authorization header: of the secret that the source names, else of those named after the host, a token before a header. */
export async function findAuthorization(
  sessions: SessionManager,
  source: HttpSource,
  context: JobContext,
): Promise<string | undefined> {
  const { signal } = context;
  const ask = (id: string): Promise<Uint8Array> =>
    sessions.any(
      () => context.sessions(),
      signal,
      (caller) => fetchSecret(caller, id, signal),
    );
  const { authHeaderSecret } = source;
  if (authHeaderSecret !== '') {
    try {
      return latin(await ask(authHeaderSecret));
    } catch (error) {
      throw wrapError(error, `failed to retrieve HTTP auth secret ${authHeaderSecret}`);
    }
  }
  const host = new URL(source.url).hostname.replace(/^\[(.*)\]$/, '$1');
  const [header, token] = await Promise.allSettled([ask(`HTTP_AUTH_HEADER_${host}`), ask(`HTTP_AUTH_TOKEN_${host}`)]);
  throwIfAborted(signal);
  if (token.status === 'fulfilled') return `Bearer ${latin(token.value)}`;
  return header.status === 'fulfilled' ? latin(header.value) : undefined;
}
