import { request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import type { RequestOptions } from 'node:https';
import { readFileSync } from 'node:fs';
import { BuildError, Code, invalidArgument, parseTime, timeToMs, wrapError } from '../../base/index.ts';
import { systemAuthorities } from '../../host/index.ts';

/** How token servers of one registry are trusted (`--registry-auth-tlscontext`). Paths of PEM files. */
export interface AuthTls {
  readonly insecure: boolean;
  readonly ca: readonly string[];
  readonly keyPairs: readonly { readonly cert: string; readonly key: string }[];
}

export interface TokenQuery {
  readonly realm: string;
  readonly service: string;
  readonly scopes: readonly string[];
  readonly clientId: string;
  readonly username: string;
  readonly secret: string;
  readonly tls?: AuthTls;
  readonly signal?: AbortSignal;
}

export interface TokenAnswer {
  readonly token: string;
  readonly expiresInSeconds: number;
  /** Unix seconds, 0 when unknown. */
  readonly issuedAt: number;
}

const MAX_ANSWER = 1 << 20;
const TIMEOUT_MS = 60_000;

interface Answer {
  readonly status: number;
  readonly body: string;
}

function tlsOptions(tls: AuthTls | undefined): RequestOptions {
  if (tls === undefined) return { ca: [...systemAuthorities()] };
  return {
    rejectUnauthorized: !tls.insecure,
    ca: [...systemAuthorities(), ...tls.ca.map((p) => readFileSync(p))],
    ...(tls.keyPairs.length > 0
      ? { cert: tls.keyPairs.map((p) => readFileSync(p.cert)), key: tls.keyPairs.map((p) => readFileSync(p.key)) }
      : {}),
  };
}

function send(url: URL, method: string, headers: Record<string, string>, body: string, q: TokenQuery): Promise<Answer> {
  if (url.protocol !== 'https:' && url.protocol !== 'http:') {
    throw invalidArgument(`unsupported token realm ${JSON.stringify(q.realm)}`);
  }
  const limit = AbortSignal.timeout(TIMEOUT_MS);
  const signal = q.signal === undefined ? limit : AbortSignal.any([q.signal, limit]);
  const options = { method, headers, signal, ...(url.protocol === 'https:' ? tlsOptions(q.tls) : {}) };
  return new Promise((resolve, reject) => {
    const r = (url.protocol === 'https:' ? requestHttps : requestHttp)(url, options, (response) => {
      const parts: Buffer[] = [];
      let size = 0;
      response.on('data', (part: Buffer) => {
        size += part.length;
        if (size > MAX_ANSWER) response.destroy(new Error('token server answers too much'));
        else parts.push(part);
      });
      response.on('error', reject);
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(parts).toString('utf8') }),
      );
    });
    r.on('error', reject);
    r.end(body);
  });
}

class UnexpectedStatus extends BuildError {
  readonly status: number;

  constructor(method: string, url: URL, answer: Answer) {
    const code =
      answer.status === 401 ? Code.Unauthenticated : answer.status === 403 ? Code.PermissionDenied : Code.Unknown;
    super(code, `unexpected status from ${method} request to ${url.href}: ${answer.status}`);
    this.status = answer.status;
  }
}

function parse(method: string, url: URL, answer: Answer): TokenAnswer {
  if (answer.status < 200 || answer.status >= 400) throw new UnexpectedStatus(method, url, answer);
  let value: any;
  try {
    value = JSON.parse(answer.body);
  } catch (cause) {
    throw new BuildError(Code.Unknown, 'unable to decode token response', { cause });
  }
  // Either name is in use; the second is older.
  const token = value?.access_token || value?.token;
  if (typeof token !== 'string' || token === '')
    throw new BuildError(Code.Unknown, 'authorization server did not include a token in the response');
  const issued = typeof value.issued_at === 'string' ? parseTime(value.issued_at) : undefined;
  return {
    token,
    expiresInSeconds: typeof value.expires_in === 'number' && value.expires_in > 0 ? value.expires_in : 60,
    issuedAt: issued === undefined ? 0 : Math.floor(timeToMs(issued) / 1000),
  };
}

/** GET with basic authentication, or without (distribution specification, "token" flow). */
async function fetchByGet(q: TokenQuery): Promise<TokenAnswer> {
  const url = new URL(q.realm);
  if (q.service !== '') url.searchParams.append('service', q.service);
  for (const scope of q.scopes) url.searchParams.append('scope', scope);
  const headers: Record<string, string> = {};
  if (q.secret !== '') {
    headers.authorization = `Basic ${Buffer.from(`${q.username}:${q.secret}`).toString('base64')}`;
  }
  return parse('GET', url, await send(url, 'GET', headers, '', q));
}

/** POST as OAuth 2: with a password, or with the secret as a refresh token when there is no user name. */
async function fetchByPost(q: TokenQuery): Promise<TokenAnswer> {
  const form = new URLSearchParams({ client_id: q.clientId, service: q.service });
  if (q.scopes.length > 0) form.set('scope', q.scopes.join(' '));
  if (q.username === '') {
    form.set('grant_type', 'refresh_token');
    form.set('refresh_token', q.secret);
  } else {
    form.set('grant_type', 'password');
    form.set('username', q.username);
    form.set('password', q.secret);
  }
  const url = new URL(q.realm);
  const headers = { 'content-type': 'application/x-www-form-urlencoded; charset=utf-8' };
  return parse('POST', url, await send(url, 'POST', headers, form.toString(), q));
}

export async function requestToken(q: TokenQuery): Promise<TokenAnswer> {
  if (q.secret === '') {
    try {
      return await fetchByGet(q);
    } catch (error) {
      throw wrapError(error, 'failed to fetch anonymous token');
    }
  }
  try {
    try {
      return await fetchByPost(q);
    } catch (error) {
      // Not every registry knows POST: GCR says 404, Artifactory 401.
      const status = error instanceof UnexpectedStatus ? error.status : 0;
      if (status !== 404 && status !== 401 && !(status === 405 && q.username !== '')) throw error;
      return await fetchByGet(q);
    }
  } catch (error) {
    throw wrapError(error, 'failed to fetch oauth token');
  }
}
