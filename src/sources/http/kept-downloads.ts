/** Downloads that stay from build to build, with what the server said of them. */
import { isNotFound, logger, timeToMs } from '../../base/index.ts';
import type { TimeNs } from '../../base/index.ts';
import { parseHttpDate, shownUrl } from '../../http/index.ts';
import { isDigest } from '../../oci/index.ts';
import type { Digest } from '../../oci/index.ts';
import { mountLocally } from '../../storage/index.ts';
import type { CacheAccessor, ImmutableRef, MutableRef } from '../../storage/types.ts';
import { keepingKey } from './attributes.ts';
import type { HttpSource } from './attributes.ts';
import { saveFile } from './save-file.ts';

const CHECKSUM = 'http.checksum';
const ETAG = 'etag';
const LAST_MODIFIED = 'http.modtime';
const FILENAME = 'http.filename';
/** So many are offered to a server; it will hardly have changed back to an older one. */
const MAX_OFFERED = 16;
const MAX_ETAG = 1024;
const DEFAULT_MODE = 0o600;

export interface KeptDownload {
  readonly ref: ImmutableRef;
  readonly digest: Digest;
  /** Of the file in the record, whatever the server calls it now, or leaves out when nothing has changed. */
  readonly filename: string;
  readonly lastModified?: TimeNs;
}

/** What is to be written, as the server described it. */
export interface ArrivingBody {
  readonly bytes: AsyncIterable<Uint8Array>;
  readonly filename: string;
  readonly gzipped: boolean;
  readonly etag: string;
  readonly lastModified: string;
}

/** Without `W/`: what is kept is compared with the same URL's answers only. */
export function etagValue(header: string | undefined): string {
  return (header ?? '').replace(/^W\//, '');
}

export class KeptDownloads {
  readonly #accessor: CacheAccessor;

  constructor(accessor: CacheAccessor) {
    this.#accessor = accessor;
  }

  /** Those of the source that a server can be asked about, by ETag; the refs are the caller's. */
  async find(source: HttpSource): Promise<Map<string, KeptDownload>> {
    const found = new Map<string, KeptDownload>();
    const records = await this.#accessor.search(keepingKey(source));
    const newest = records.toSorted((a, b) => (a.createdAt < b.createdAt ? 1 : -1));
    for (const metadata of newest) {
      const etag = metadata.get(ETAG) ?? '';
      const digest = metadata.get(CHECKSUM);
      const filename = metadata.get(FILENAME);
      if (found.size === MAX_OFFERED) break;
      if (etag === '' || found.has(etag) || !isDigest(digest) || filename === undefined) continue;
      const lastModified = parseHttpDate(metadata.get(LAST_MODIFIED) ?? '');
      try {
        found.set(etag, { ref: await this.#accessor.get(metadata.id), digest, filename, lastModified });
      } catch (error) {
        // Pruned meanwhile.
        if (!isNotFound(error)) logger.warn('kept download cannot be used', { id: metadata.id, error });
      }
    }
    return found;
  }

  /** Writes a new one; the ref is the caller's. */
  async save(source: HttpSource, body: ArrivingBody, signal: AbortSignal): Promise<KeptDownload> {
    const mutable = await this.#accessor.create(undefined, { description: `http url ${shownUrl(source.url)}` });
    const lastModified = parseHttpDate(body.lastModified);
    let digest: Digest;
    let ref: ImmutableRef;
    try {
      digest = await this.#write(mutable, source, body, lastModified, signal);
      ref = await mutable.commit();
    } catch (error) {
      await mutable.release();
      throw error;
    }
    try {
      const { metadata } = ref;
      if (body.etag !== '' && body.etag.length <= MAX_ETAG) await metadata.set(ETAG, body.etag);
      await metadata.set(FILENAME, body.filename);
      if (lastModified !== undefined) await metadata.set(LAST_MODIFIED, body.lastModified);
      await metadata.set(CHECKSUM, digest, keepingKey(source));
      // Last: of what is half written, or half described, nothing stays.
      await metadata.setRetain(true);
      return { ref, digest, filename: body.filename, lastModified };
    } catch (error) {
      await ref.release();
      throw error;
    }
  }

  async #write(
    mutable: MutableRef,
    source: HttpSource,
    body: ArrivingBody,
    lastModified: TimeNs | undefined,
    signal: AbortSignal,
  ): Promise<Digest> {
    const mounted = await mountLocally(mutable, { readonly: false });
    try {
      return await saveFile(mounted.dir, body.bytes, {
        name: body.filename,
        mode: source.perm === 0 ? DEFAULT_MODE : source.perm,
        uid: source.uid,
        gid: source.gid,
        // A file that nobody dates shall be the same whenever it is fetched.
        mtimeMs: lastModified === undefined ? 0 : timeToMs(lastModified),
        gzipped: body.gzipped,
        signal,
      });
    } finally {
      await mounted.release();
    }
  }
}
