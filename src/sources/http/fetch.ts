/** One look at a URL: the server is asked whether a kept download is still good, and sends it where not. */
import { BuildError, Code, invalidArgument, throwIfAborted, toBuildError } from '../../base/index.ts';
import type { HttpResponse } from '../../http/index.ts';
import { pullUpload } from '../../session/index.ts';
import type { JobContext } from '../../solver/types.ts';
import type { HttpSource } from './attributes.ts';
import { findAuthorization } from './authorization.ts';
import { fileNameOf } from './file-name.ts';
import { etagValue, KeptDownloads } from './kept-downloads.ts';
import type { KeptDownload } from './kept-downloads.ts';
import type { Download, HttpSourceDeps } from './types.ts';

/** A host that no network has: the client sends the body (session/upload). */
const SESSION_HOST = 'buildkit-session';

type Headers = Readonly<Record<string, string>>;

class Fetch {
  readonly #deps: HttpSourceDeps;
  readonly #source: HttpSource;
  readonly #context: JobContext;
  readonly #downloads: KeptDownloads;

  constructor(deps: HttpSourceDeps, source: HttpSource, context: JobContext) {
    this.#deps = deps;
    this.#source = source;
    this.#context = context;
    this.#downloads = new KeptDownloads(deps.accessor);
  }

  async run(): Promise<Download> {
    const headers = await this.#headers();
    const kept = await this.#downloads.find(this.#source);
    try {
      const etags = [...kept.keys()];
      if (etags.length === 0) return await this.#get(headers, kept);
      const conditional = { ...headers, 'if-none-match': etags.join(', ') };
      return (await this.#head(conditional, kept)) ?? (await this.#get(conditional, kept));
    } finally {
      await Promise.all([...kept.values()].map(({ ref }) => ref.release()));
    }
  }

  async #headers(): Promise<Headers> {
    const headers: Record<string, string> = {};
    for (const { name, value } of this.#source.header) {
      headers[name.toLowerCase()] = Buffer.from(value, 'utf8').toString('latin1');
    }
    const authorization = await findAuthorization(this.#deps.sessions, this.#source, this.#context);
    if (authorization !== undefined) headers.authorization = authorization;
    for (const [name, value] of Object.entries(headers)) {
      // oxlint-disable-next-line no-control-regex
      if (!/[\u0000-\u0008\u000a-\u001f\u007f]/.test(value)) continue;
      throw invalidArgument(`net/http: invalid header field value for "${name.replace(/\b[a-z]/g, upper)}"`);
    }
    // Servers name different encodings by different ETags, so all requests ask for the same ones.
    return { ...headers, 'accept-encoding': 'gzip' };
  }

  #request(method: 'GET' | 'HEAD', headers: Headers): Promise<HttpResponse> {
    return this.#deps.http.request({ method, url: this.#source.url, headers, signal: this.#context.signal });
  }

  /** Some servers name ETags and do not honour If-None-Match: what they say to HEAD is compared first. */
  async #head(headers: Headers, kept: ReadonlyMap<string, KeptDownload>): Promise<Download | undefined> {
    let response: HttpResponse;
    try {
      response = await this.#request('HEAD', headers);
    } catch {
      // GET will say what is wrong.
      throwIfAborted(this.#context.signal);
      return undefined;
    }
    await response.discard();
    const { status } = response;
    return status === 200 || status === 304 ? this.#match(response, kept) : undefined;
  }

  #match(response: HttpResponse, kept: ReadonlyMap<string, KeptDownload>): Download | undefined {
    let etag = etagValue(response.header('etag'));
    // Asked about one thing only, some leave out which one they mean.
    if (etag === '' && response.status === 304 && kept.size === 1) [etag] = kept.keys();
    const found = kept.get(etag);
    return found && this.#hold(found);
  }

  #hold({ ref, digest, filename, lastModified }: KeptDownload): Download {
    const held = ref.fork();
    this.#context.defer(() => held.release());
    return { digest, filename, lastModified, refId: ref.id };
  }

  async #get(headers: Headers, kept: ReadonlyMap<string, KeptDownload>): Promise<Download> {
    if (new URL(this.#source.url).host === SESSION_HOST) return this.#upload();
    const response = await this.#request('GET', headers);
    if (response.status === 304) {
      await response.discard();
      const found = this.#match(response, kept);
      if (found !== undefined) return found;
      const etag = etagValue(response.header('etag'));
      throw new BuildError(Code.Unknown, `invalid not-modified ETag: ${etag}`);
    }
    // Upstream would take the body of a redirect to nowhere, or a part of the file, for the file.
    if (response.status < 200 || response.status > 299 || response.status === 206) {
      await response.discard();
      throw new BuildError(Code.Unknown, `invalid response status ${response.status}`);
    }
    try {
      return await this.#save(response.body, (name) => response.header(name));
    } catch (error) {
      // It may not have come to reading it.
      await response.discard();
      throw error;
    }
  }

  async #upload(): Promise<Download> {
    const { sessions } = this.#deps;
    const { signal } = this.#context;
    const url = new URL(this.#source.url);
    const body = await sessions.any(
      () => this.#context.sessions(),
      signal,
      async (caller) => pullUpload(caller, url, signal),
    );
    try {
      return await this.#save(body, () => undefined);
    } finally {
      body.destroy();
    }
  }

  async #save(bytes: AsyncIterable<Uint8Array>, header: (name: string) => string | undefined): Promise<Download> {
    const filename = fileNameOf(this.#source.url, this.#source.filename, header('content-disposition'));
    const saved = await this.#downloads.save(
      this.#source,
      {
        bytes,
        filename,
        gzipped: header('content-encoding')?.toLowerCase() === 'gzip',
        etag: etagValue(header('etag')),
        lastModified: header('last-modified') ?? '',
      },
      this.#context.signal,
    );
    try {
      return this.#hold(saved);
    } finally {
      await saved.ref.release();
    }
  }
}

function upper(letter: string): string {
  return letter.toUpperCase();
}

/** Throws what the server, or the way to it, is to blame for. */
export async function fetchDownload(deps: HttpSourceDeps, source: HttpSource, context: JobContext): Promise<Download> {
  try {
    return await new Fetch(deps, source, context).run();
  } catch (error) {
    throwIfAborted(context.signal);
    throw toBuildError(error);
  }
}
