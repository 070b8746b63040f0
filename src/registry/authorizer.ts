/** Answers challenges: tokens and passwords, remembered for whoever may use them and no longer than they last. */
import { BuildError, Code, invalidArgument } from '../base/index.ts';
import { readLimited } from '../http/index.ts';
import type { HttpResponse, Transport } from '../http/index.ts';
import type { Challenge } from './challenge.ts';
import type { Endpoint } from './endpoints.ts';
import type { RegistryContext } from './types.ts';

const CLIENT_ID = 'buildkit-client';
const MAX_TOKEN_BYTES = 1024 * 1024;
const MAX_REMEMBERED = 1000;
const MIN_EXPIRY_MS = 60_000;
/** A token that is about to end is not sent any more. */
const MARGIN_MS = 5000;

interface Remembered {
  readonly header: string;
  readonly validUntil: number;
}

export class Authorizer {
  readonly #transport: Transport;
  readonly #headers = new Map<string, Remembered>();

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  #key(endpoint: Endpoint, scopes: readonly string[], context: RegistryContext): string {
    return JSON.stringify([context.auth?.id ?? '', endpoint.origin, scopes.toSorted()]);
  }

  /** What was good for the same request before. */
  remembered(endpoint: Endpoint, scopes: readonly string[], context: RegistryContext): string | undefined {
    const found = this.#headers.get(this.#key(endpoint, scopes, context));
    return found !== undefined && found.validUntil > Date.now() ? found.header : undefined;
  }

  forget(endpoint: Endpoint, scopes: readonly string[], context: RegistryContext): void {
    this.#headers.delete(this.#key(endpoint, scopes, context));
  }

  /** The header that answers the challenge; undefined when there is nothing to answer with. */
  async answer(
    challenge: Challenge,
    endpoint: Endpoint,
    scopes: readonly string[],
    context: RegistryContext,
  ): Promise<string | undefined> {
    const made = await (challenge.scheme === 'basic'
      ? this.#basic(endpoint, context)
      : this.#bearer(challenge, endpoint, scopes, context));
    if (made === undefined) return undefined;
    const key = this.#key(endpoint, scopes, context);
    this.#headers.delete(key);
    this.#headers.set(key, made);
    if (this.#headers.size > MAX_REMEMBERED) this.#headers.delete(this.#headers.keys().next().value as string);
    return made.header;
  }

  async #basic(endpoint: Endpoint, context: RegistryContext): Promise<Remembered | undefined> {
    const found = await context.auth?.credentials?.(endpoint.host);
    if (found === undefined || found.username === '' || found.secret === '') return undefined;
    return { header: basicHeader(found), validUntil: Date.now() + MIN_EXPIRY_MS };
  }

  async #bearer(
    challenge: Challenge,
    endpoint: Endpoint,
    scopes: readonly string[],
    context: RegistryContext,
  ): Promise<Remembered | undefined> {
    const realm = challenge.parameters.get('realm') ?? '';
    if (realm === '') throw invalidArgument('no realm specified for token auth challenge');
    const url = URL.canParse(realm) ? new URL(realm) : undefined;
    if (url === undefined || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
      throw invalidArgument(`invalid token auth challenge realm: ${realm}`);
    }
    const service = challenge.parameters.get('service') ?? '';
    const wanted = [...new Set([...scopes, ...(challenge.parameters.get('scope') ?? '').split(' ')])]
      .filter((s) => s !== '')
      .sort();
    const request = { clientId: CLIENT_ID, host: endpoint.host, realm, service, scopes: wanted };
    const given = await context.auth?.fetchToken?.(request);
    if (given !== undefined) return remember(given.token, given.issuedAtMs, given.expiresInMs);
    const credentials = await context.auth?.credentials?.(endpoint.host);
    const token = await this.#fetch(url, service, wanted, credentials, endpoint, context);
    return remember(token.token, Date.now(), token.expiresInMs);
  }

  async #fetch(
    realm: URL,
    service: string,
    scopes: readonly string[],
    credentials: { username: string; secret: string } | undefined,
    endpoint: Endpoint,
    context: RegistryContext,
  ): Promise<{ token: string; expiresInMs: number }> {
    const common = { tls: endpoint.tls, ...(context.signal === undefined ? {} : { signal: context.signal }) };
    if (credentials !== undefined && credentials.secret !== '') {
      const form = new URLSearchParams({ scope: scopes.join(' '), service, client_id: CLIENT_ID });
      if (credentials.username === '') {
        form.set('grant_type', 'refresh_token');
        form.set('refresh_token', credentials.secret);
      } else {
        form.set('grant_type', 'password');
        form.set('username', credentials.username);
        form.set('password', credentials.secret);
      }
      const headers = { 'content-type': 'application/x-www-form-urlencoded' };
      const answer = await this.#transport.request({
        method: 'POST',
        url: realm.href,
        headers,
        body: Buffer.from(form.toString()),
        ...common,
      });
      if (answer.status === 200) return readToken(answer);
      await answer.discard();
      // Not every registry speaks OAuth.
      if (credentials.username === '' || ![400, 401, 404, 405].includes(answer.status)) throw tokenError(answer);
    }
    const url = new URL(realm);
    if (service !== '') url.searchParams.append('service', service);
    for (const scope of scopes) url.searchParams.append('scope', scope);
    const useBasic = credentials !== undefined && credentials.secret !== '';
    if (useBasic) url.searchParams.append('client_id', CLIENT_ID);
    const headers: Record<string, string> = useBasic ? { authorization: basicHeader(credentials) } : {};
    const answer = await this.#transport.request({ method: 'GET', url: url.href, headers, ...common });
    if (answer.status === 200) return readToken(answer);
    await answer.discard();
    throw tokenError(answer);
  }
}

function basicHeader({ username, secret }: { username: string; secret: string }): string {
  return `Basic ${Buffer.from(`${username}:${secret}`).toString('base64')}`;
}

function remember(token: string, issuedAtMs: number, expiresInMs: number): Remembered {
  const lasts = Math.max(expiresInMs, MIN_EXPIRY_MS) - MARGIN_MS;
  return { header: `Bearer ${token}`, validUntil: (issuedAtMs > 0 ? issuedAtMs : Date.now()) + lasts };
}

function tokenError(answer: HttpResponse): BuildError {
  const host = new URL(answer.url);
  const code =
    answer.status === 403 ? Code.PermissionDenied : answer.status >= 500 ? Code.Unavailable : Code.Unauthenticated;
  return new BuildError(
    code,
    `failed to fetch oauth token: unexpected status from ${host.origin}${host.pathname}: ${answer.status}`,
  );
}

async function readToken(answer: HttpResponse): Promise<{ token: string; expiresInMs: number }> {
  const bytes = await readLimited(answer, MAX_TOKEN_BYTES, 'token answer');
  let json: { token?: unknown; access_token?: unknown; expires_in?: unknown };
  try {
    json = JSON.parse(bytes.toString('utf8')) as typeof json;
  } catch (error) {
    throw new BuildError(Code.Unavailable, `unable to decode token response: ${(error as Error).message}`, {
      cause: error,
    });
  }
  const token = json.access_token || json.token;
  if (typeof token !== 'string' || token === '' || /[\r\n]/.test(token)) {
    throw new BuildError(Code.Unauthenticated, 'authorization server did not include a token in the response');
  }
  const seconds = typeof json.expires_in === 'number' && Number.isFinite(json.expires_in) ? json.expires_in : 0;
  return { token, expiresInMs: seconds * 1000 };
}
