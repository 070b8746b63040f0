/** One request to a registry: authorised, tried again where that may help, on each endpoint in turn. */
import { BuildError, Code, sleep, throwIfAborted } from '../base/index.ts';
import { TransportError } from '../http/index.ts';
import type { HttpResponse, Transport } from '../http/index.ts';
import type { Reference } from '../oci/index.ts';
import type { Authorizer } from './authorizer.ts';
import { parseChallenge } from './challenge.ts';
import type { Endpoint } from './endpoints.ts';
import { unexpectedStatus } from './status-error.ts';
import type { RegistryContext } from './types.ts';

export interface ApiRequest {
  readonly method: string;
  /** Below the repository (`manifests/latest`), or a whole URL. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  /** Made anew for each try. */
  readonly body?: () => Promise<Uint8Array | AsyncIterable<Uint8Array>>;
  readonly push?: boolean;
  readonly extraScopes?: readonly string[];
  /** Statuses that are answers, whatever they say. */
  readonly accept: readonly number[];
}

const TRIES = 5;
const FIRST_WAIT_MS = 250;
const MAX_WAIT_MS = 10_000;

const isTransient = (status: number): boolean => status === 408 || status === 429 || status >= 500;

export class ApiClient {
  readonly #transport: Transport;
  readonly #authorizer: Authorizer;

  constructor(transport: Transport, authorizer: Authorizer) {
    this.#transport = transport;
    this.#authorizer = authorizer;
  }

  /** Throws containerd's `unexpected status …` for answers that are not in `accept`. */
  async call(endpoint: Endpoint, ref: Reference, request: ApiRequest, context: RegistryContext): Promise<HttpResponse> {
    const scopes = [`repository:${ref.path}:${request.push ? 'pull,push' : 'pull'}`, ...(request.extraScopes ?? [])];
    let authorization = endpoint.url === undefined ? this.#authorizer.remembered(endpoint, scopes, context) : undefined;
    let answered = false;
    for (let failures = 0; ;) {
      throwIfAborted(context.signal);
      let response: HttpResponse;
      try {
        response = await this.#send(endpoint, ref, request, authorization, context);
      } catch (error) {
        if (!(error instanceof TransportError)) throw error;
        // containerd's wording (core/remotes/docker)
        const text = `failed to do request: ${error.message}`;
        if (++failures >= TRIES || isRefused(error)) {
          // That a place which it named is not there does not mean that the registry is to be reached another way.
          const isOwn = endpoint.url !== undefined || error.host === new URL(endpoint.origin).host;
          throw new BuildError(Code.Unavailable, text, { cause: isOwn ? error : error.cause });
        }
        await this.#wait(failures, text, undefined, context);
        continue;
      }
      if (request.accept.includes(response.status)) return response;
      await response.discard();
      if (response.status === 401) {
        const challenge = parseChallenge(response.header('www-authenticate'));
        const problem = challenge?.parameters.get('error') ?? '';
        if (challenge === undefined) throw unexpectedStatus(request.method, response.url, 401);
        if (answered) throw denied(request, response.url, problem);
        this.#authorizer.forget(endpoint, scopes, context);
        authorization = await this.#authorizer.answer(challenge, endpoint, scopes, context);
        if (authorization === undefined)
          throw denied(request, response.url, problem === '' ? 'no basic auth credentials' : problem);
        answered = true;
        continue;
      }
      const error = unexpectedStatus(request.method, response.url, response.status);
      if (!isTransient(response.status) || ++failures >= TRIES) throw error;
      await this.#wait(failures, error.message, response.header('retry-after'), context);
    }
  }

  async #send(
    endpoint: Endpoint,
    ref: Reference,
    request: ApiRequest,
    authorization: string | undefined,
    context: RegistryContext,
  ): Promise<HttpResponse> {
    const whole = /^https?:\/\//.test(request.path);
    const url = new URL(whole ? request.path : `${endpoint.origin}${endpoint.path}/${ref.path}/${request.path}`);
    for (const [key, value] of Object.entries(request.query ?? {})) url.searchParams.set(key, value);
    if (endpoint.namespace !== undefined && !request.push) url.searchParams.set('ns', endpoint.namespace);
    // An upload may be sent elsewhere: what is meant for this registry stays here.
    const trusted = url.host === endpoint.host;
    return this.#transport.request({
      method: request.method,
      url: url.href,
      headers: { ...request.headers, ...(authorization === undefined || !trusted ? {} : { authorization }) },
      tls: endpoint.tls,
      ...(request.body === undefined ? {} : { body: await request.body() }),
      ...(context.signal === undefined ? {} : { signal: context.signal }),
    });
  }

  async #wait(failures: number, why: string, retryAfter: string | undefined, context: RegistryContext): Promise<void> {
    const asked = Number(retryAfter) * 1000;
    const wait = Math.min(asked > 0 ? asked : FIRST_WAIT_MS * 2 ** (failures - 1), MAX_WAIT_MS);
    context.onLog?.(`error: ${why}, retrying in ${wait / 1000}s`);
    await sleep(wait, context.signal);
  }
}

/** Nobody listens there, or speaks another protocol: trying again is no use, the next endpoint may be. */
function isRefused(error: TransportError): boolean {
  const cause = error.cause as { code?: unknown; cause?: { code?: unknown } } | undefined;
  const code = String(cause?.code ?? '');
  return /^(ECONNREFUSED|ENOTFOUND|EPROTO|ERR_SSL.*|HPE_.*|DEPTH_ZERO.*|SELF_SIGNED.*|UNABLE_TO.*|CERT_.*|ERR_TLS.*)$/.test(
    code,
  );
}

function denied(request: ApiRequest, url: string, problem: string): BuildError {
  const action = request.push ? 'push' : 'pull';
  const why =
    problem === ''
      ? unexpectedStatus(request.method, url, 401).message
      : `server message: ${problem}: authorization failed`;
  return new BuildError(
    request.push ? Code.Unauthenticated : Code.PermissionDenied,
    `${action} access denied, repository does not exist or may require authorization: ${why}`,
  );
}
