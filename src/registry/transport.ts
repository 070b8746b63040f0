/** HTTP by undici, which is loaded only when a registry is asked for the first time. */
import { Readable } from 'node:stream';
import { BuildError, Code, invalidArgument } from '../base/index.ts';
import type { Agent, Dispatcher } from 'undici';
import type { TlsOptions } from './endpoints.ts';

export interface HttpRequest {
  readonly method: string;
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | AsyncIterable<Uint8Array>;
  readonly signal?: AbortSignal;
  readonly tls: TlsOptions;
}

export interface HttpResponse {
  readonly status: number;
  /** Where the answer came from, after redirects. */
  readonly url: string;
  header(name: string): string | undefined;
  /** Must be read to its end, or left early, or {@link discard}ed. */
  readonly body: AsyncIterable<Uint8Array>;
  discard(): Promise<void>;
}

const MAX_REDIRECTS = 10;
const SMALL_BODY = 64 * 1024;

/** The connection or the server's answer failed in a way that another try may cure. */
export class TransportError extends Error {}

export class Transport {
  readonly #agents = new Map<string, Agent>();
  readonly #idleTimeoutMs: number;
  readonly #userAgent: string;

  constructor(options: { idleTimeoutMs: number; userAgent: string }) {
    this.#idleTimeoutMs = options.idleTimeoutMs;
    this.#userAgent = options.userAgent;
  }

  async #agent(tls: TlsOptions): Promise<Agent> {
    // A bundler gives a CommonJS package as its default export only.
    const undici = await import('undici');
    const { Agent: UndiciAgent } = undici.default ?? undici;
    const texts = [...tls.ca, ...tls.keypairs.flatMap((p) => [p.key, p.cert])].map((b) => b.toString('base64'));
    const key = JSON.stringify([tls.insecure, texts]);
    let agent = this.#agents.get(key);
    if (agent === undefined) {
      const connect = {
        timeout: this.#idleTimeoutMs,
        rejectUnauthorized: !tls.insecure,
        ...(tls.ca.length === 0 ? {} : { ca: [...(await import('node:tls')).rootCertificates, ...tls.ca.map(String)] }),
        ...(tls.keypairs.length === 0
          ? {}
          : { key: tls.keypairs.map((p) => p.key), cert: tls.keypairs.map((p) => p.cert) }),
      };
      agent = new UndiciAgent({
        connect,
        headersTimeout: this.#idleTimeoutMs,
        bodyTimeout: this.#idleTimeoutMs,
        connections: 8,
      });
      this.#agents.set(key, agent);
    }
    return agent;
  }

  /** Follows redirects; credentials stay with the host that they were meant for. Throws TransportError. */
  async request(request: HttpRequest): Promise<HttpResponse> {
    const dispatcher = await this.#agent(request.tls);
    let url = new URL(request.url);
    let headers: Record<string, string> = { 'user-agent': this.#userAgent, ...request.headers };
    let { body, method } = request;
    for (let hops = 0; ; hops++) {
      const answer = await this.#send(dispatcher, url, method, headers, body, request.signal);
      const location = answer.headers.location;
      if (![301, 302, 303, 307, 308].includes(answer.statusCode) || typeof location !== 'string')
        return wrap(answer, url);
      await answer.body.dump({ limit: SMALL_BODY });
      if (hops >= MAX_REDIRECTS) throw invalidArgument(`stopped after ${MAX_REDIRECTS} redirects from ${request.url}`);
      const next = new URL(location, url);
      if (next.protocol !== 'http:' && next.protocol !== 'https:')
        throw invalidArgument(`invalid redirect to ${next.protocol}`);
      if (next.host !== url.host)
        headers = Object.fromEntries(Object.entries(headers).filter(([k]) => k !== 'authorization'));
      if (body !== undefined && !(body instanceof Uint8Array))
        throw invalidArgument(`cannot follow a redirect of ${method} ${url.href}`);
      if (answer.statusCode === 303 && method !== 'HEAD') [method, body] = ['GET', undefined];
      url = next;
    }
  }

  async #send(
    dispatcher: Agent,
    url: URL,
    method: string,
    headers: Record<string, string>,
    body: HttpRequest['body'],
    signal: AbortSignal | undefined,
  ): Promise<Dispatcher.ResponseData> {
    try {
      return await dispatcher.request({
        origin: url.origin,
        path: url.pathname + url.search,
        method: method as Dispatcher.HttpMethod,
        headers,
        signal: signal ?? null,
        body:
          body === undefined || body instanceof Uint8Array
            ? (body ?? null)
            : Readable.from(body, { objectMode: false }),
      });
    } catch (error) {
      throw failure(error, `failed to do request: ${method} "${url.href}"`, signal);
    }
  }

  async close(): Promise<void> {
    const agents = [...this.#agents.values()];
    this.#agents.clear();
    await Promise.all(agents.map((a) => a.destroy()));
  }
}

function failure(error: unknown, what: string, signal: AbortSignal | undefined): Error {
  if (signal?.aborted)
    return signal.reason instanceof Error ? signal.reason : new BuildError(Code.Canceled, 'context canceled');
  if (error instanceof BuildError) return error;
  return new TransportError(`${what}: ${(error as Error).message}`, { cause: error });
}

function wrap(answer: Dispatcher.ResponseData, url: URL): HttpResponse {
  return {
    status: answer.statusCode,
    url: url.href,
    header: (name) => {
      const value = answer.headers[name];
      return Array.isArray(value) ? value.join(', ') : value;
    },
    body: readBody(answer, url),
    discard: async () => {
      await answer.body.dump({ limit: SMALL_BODY }).catch(() => {});
    },
  };
}

async function* readBody(answer: Dispatcher.ResponseData, url: URL): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of answer.body) yield chunk as Uint8Array;
  } catch (error) {
    throw failure(error, `failed to read "${url.href}"`, undefined);
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
