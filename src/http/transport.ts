/** Requests by undici, which is loaded only when a server is asked for the first time. */
import { Readable } from 'node:stream';
import { BuildError, Code, invalidArgument } from '../base/index.ts';
import type { Dispatcher } from 'undici';
import { isHangUp, networkText, shownUrl } from './failure.ts';
import { proxyFor } from './proxy.ts';
import type { ProxyEnvironment } from './proxy.ts';
import { nextHop } from './redirect.ts';
import type { Hop } from './redirect.ts';
import { noTlsOptions, secureContext, tlsKey } from './tls-options.ts';
import type { TlsOptions } from './tls-options.ts';

export interface HttpRequest {
  readonly method: string;
  readonly url: string;
  /** Names in lower case; values as the bytes that are sent, each a character. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | AsyncIterable<Uint8Array>;
  readonly signal?: AbortSignal;
  readonly tls?: TlsOptions;
}

export interface HttpResponse {
  readonly status: number;
  /** Where the answer came from, after redirects. */
  readonly url: string;
  /** Bytes as they were sent, each a character. */
  header(name: string): string | undefined;
  /** Must be read to its end, or left early, or {@link discard}ed. */
  readonly body: AsyncIterable<Uint8Array>;
  discard(): Promise<void>;
}

export interface TransportOptions {
  /** How long a server may be silent, before its answer and within. */
  readonly idleTimeoutMs: number;
  readonly userAgent?: string;
  /** Connections to one server at a time; undefined: as many as are asked for. */
  readonly connections?: number;
  readonly env?: ProxyEnvironment;
}

/** As upstream names itself: servers count on it. */
export const USER_AGENT = 'buildkit/v0.32';
const MAX_REQUESTS = 10;
const MAX_CONNECT_MS = 30_000;
const SMALL_BODY = 64 * 1024;
const DISCARD_MS = 1000;

/** The connection or the server's answer failed in a way that another try may cure. */
export class TransportError extends Error {
  /** With the port, where it is not the scheme's own: who failed, after redirects. */
  readonly host: string;

  constructor(message: string, host: string, options?: ErrorOptions) {
    super(message, options);
    this.host = host;
  }
}

export class Transport {
  readonly #dispatchers = new Map<string, Promise<Dispatcher>>();
  readonly #options: TransportOptions;
  readonly #env: ProxyEnvironment;

  constructor(options: TransportOptions) {
    this.#options = options;
    this.#env = options.env ?? process.env;
  }

  #dispatcher(tls: TlsOptions, url: URL): Promise<Dispatcher> {
    const proxy = proxyFor(url, this.#env);
    const key = `${url.protocol === 'https:' ? tlsKey(tls) : ''} ${proxy?.href ?? ''}`;
    let dispatcher = this.#dispatchers.get(key);
    if (dispatcher === undefined) this.#dispatchers.set(key, (dispatcher = this.#makeDispatcher(tls, url, proxy)));
    return dispatcher;
  }

  async #makeDispatcher(tls: TlsOptions, url: URL, proxy: URL | undefined): Promise<Dispatcher> {
    // A bundler gives a CommonJS package as its default export only.
    const undici = await import('undici');
    const { Agent, ProxyAgent } = undici.default ?? undici;
    const { connections, idleTimeoutMs } = this.#options;
    const timeout = Math.min(idleTimeoutMs, MAX_CONNECT_MS);
    const secure =
      url.protocol === 'https:' ? { rejectUnauthorized: !tls.insecure, secureContext: secureContext(tls) } : {};
    const common = { allowH2: false, ...(connections === undefined ? {} : { connections }) };
    if (proxy === undefined) return new Agent({ ...common, connect: { timeout, ...secure } });
    return new ProxyAgent({
      ...common,
      uri: proxy.href,
      connectTimeout: timeout,
      requestTls: secure,
      ...(proxy.protocol === 'https:' ? { proxyTls: { secureContext: secureContext(noTlsOptions) } } : {}),
    });
  }

  /** Follows redirects. Throws TransportError. */
  async request(request: HttpRequest): Promise<HttpResponse> {
    const { signal, tls = noTlsOptions } = request;
    const headers = { 'user-agent': this.#options.userAgent ?? USER_AGENT, ...request.headers };
    let hop: Hop = {
      url: new URL(request.url),
      method: request.method,
      headers,
      hasBody: request.body !== undefined,
    };
    for (let requests = 1; ; requests++) {
      const body = hop.hasBody ? request.body : undefined;
      const answer = await this.#send(hop, body, tls, signal);
      let next: Hop | undefined;
      try {
        next = nextHop(hop, answer.statusCode, single(answer.headers.location));
      } catch (error) {
        await discard(answer);
        throw new BuildError(Code.Unknown, `${describe(hop)}: ${(error as Error).message}`, { cause: error });
      }
      if (next === undefined) return wrap(answer, hop.url, signal);
      await discard(answer);
      if (requests >= MAX_REQUESTS) {
        const text = `${describe({ ...hop, url: next.url })}: stopped after ${MAX_REQUESTS} redirects`;
        throw new BuildError(Code.Unknown, text);
      }
      if (next.hasBody && !(body instanceof Uint8Array)) {
        throw invalidArgument(`cannot follow a redirect of ${hop.method} ${shownUrl(hop.url.href)}`);
      }
      hop = next;
    }
  }

  async #send(
    hop: Hop,
    body: HttpRequest['body'],
    tls: TlsOptions,
    signal: AbortSignal | undefined,
  ): Promise<Dispatcher.ResponseData> {
    const { url, method, headers } = hop;
    const { idleTimeoutMs } = this.#options;
    const again = body === undefined && (method === 'GET' || method === 'HEAD');
    for (let tries = 1; ; tries++) {
      const dispatcher = await this.#dispatcher(tls, url);
      try {
        return await dispatcher.request({
          origin: url.origin,
          path: url.pathname + url.search,
          method: method as Dispatcher.HttpMethod,
          headers: { ...basicAuthorization(url), ...headers },
          headersTimeout: idleTimeoutMs,
          bodyTimeout: idleTimeoutMs,
          signal: signal ?? null,
          body:
            body === undefined || body instanceof Uint8Array
              ? (body ?? null)
              : Readable.from(body, { objectMode: false }),
        });
      } catch (error) {
        if (again && tries === 1 && signal?.aborted !== true && isHangUp(error)) continue;
        throw failure(error, `${describe(hop)}: ${networkText(error, url, 'EOF')}`, url, signal);
      }
    }
  }

  async close(): Promise<void> {
    const dispatchers = [...this.#dispatchers.values()];
    this.#dispatchers.clear();
    await Promise.all(dispatchers.map(async (d) => (await d).destroy()));
  }
}

/** What a URL itself says of who asks. */
function basicAuthorization({ username, password }: URL): Record<string, string> {
  if (username === '' && password === '') return {};
  const text = [username, password].map(unescape).join(':');
  return { authorization: `Basic ${Buffer.from(text).toString('base64')}` };
}

function unescape(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Go's: `Get "http://…"`. */
function describe({ method, url }: Hop): string {
  return `${method[0]}${method.slice(1).toLowerCase()} "${shownUrl(url.href)}"`;
}

function failure(error: unknown, text: string, { host }: URL, signal: AbortSignal | undefined): Error {
  if (signal?.aborted)
    return signal.reason instanceof Error ? signal.reason : new BuildError(Code.Canceled, 'context canceled');
  if (error instanceof BuildError) return error;
  return new TransportError(text, host, { cause: error });
}

function single(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value;
}

/** Reads a little, so that the connection can serve again; a longer or slower answer costs the connection. */
async function discard(answer: Dispatcher.ResponseData): Promise<void> {
  await answer.body.dump({ limit: SMALL_BODY, signal: AbortSignal.timeout(DISCARD_MS) }).catch(() => {});
}

function wrap(answer: Dispatcher.ResponseData, url: URL, signal: AbortSignal | undefined): HttpResponse {
  return {
    status: answer.statusCode,
    url: url.href,
    header: (name) => {
      const value = answer.headers[name];
      return Array.isArray(value) ? value.join(', ') : value;
    },
    body: readBody(answer, url, signal),
    discard: () => discard(answer),
  };
}

async function* readBody(
  answer: Dispatcher.ResponseData,
  url: URL,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of answer.body) yield chunk as Uint8Array;
  } catch (error) {
    const text = networkText(error, url, 'unexpected EOF');
    throw failure(error, `failed to read "${shownUrl(url.href)}": ${text}`, url, signal);
  }
}

/** Throws ResourceExhausted when there is more. */
export async function readLimited(response: HttpResponse, limit: number, what: string): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of response.body) {
    size += part.length;
    if (size > limit) throw new BuildError(Code.ResourceExhausted, `${what} is larger than ${limit} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts);
}
