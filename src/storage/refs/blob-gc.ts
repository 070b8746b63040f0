import { logger, nowNs } from '../../base/index.ts';
import type { DiskContentStore } from '../../content/index.ts';
import type { Digest } from '../../oci/types.ts';
import type { RecordStore } from './record-store.ts';

/** containerd's label for blobs that a blob refers to: `…content.0`, `…content.config` and so on. */
const REFERENCE = 'containerd.io/gc.ref.content';
/** A blob that nobody names yet may be on its way to whoever will: upstream's temporary leases last as long. */
const GRACE_NS = 3600n * 1_000_000_000n;

/** Removes blobs that neither records nor other owners name, directly or through labels of blobs. */
export class BlobGc {
  readonly #content: DiskContentStore;
  readonly #store: RecordStore;
  readonly #owners = new Set<() => Iterable<Digest>>();
  readonly #released = new Set<Digest>();
  #writers = 0;
  #running: Promise<void> | undefined;

  constructor(content: DiskContentStore, store: RecordStore) {
    this.#content = content;
    this.#store = store;
  }

  /** Blobs listed by `owner` stay until the returned function is called. */
  protect(owner: () => Iterable<Digest>): () => void {
    this.#owners.add(owner);
    return () => void this.#owners.delete(owner);
  }

  /** While a blob is on its way to its record nothing is removed. */
  writing(): () => void {
    this.#writers++;
    let done = false;
    return () => {
      if (done) return;
      done = true;
      this.#writers--;
      this.#start();
    };
  }

  /** Blobs of records that went: removed soon unless another owner has them. */
  release(digests: Iterable<Digest>): void {
    for (const digest of digests) this.#released.add(digest);
    this.#start();
  }

  #start(): void {
    if (this.#running !== undefined || this.#writers > 0 || this.#released.size === 0) return;
    this.#running = Promise.resolve()
      .then(async () => {
        const digests = [...this.#released];
        this.#released.clear();
        const needed = this.#needed();
        await this.#delete(digests.filter((digest) => !needed.has(digest)));
      })
      .finally(() => {
        this.#running = undefined;
        this.#start();
      });
  }

  async drained(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  /** Everything that nobody names and that is older than an hour. */
  async collect(): Promise<void> {
    await this.drained();
    if (this.#writers > 0) return;
    const needed = this.#needed();
    const old = nowNs() - GRACE_NS;
    const gone: Digest[] = [];
    for await (const info of this.#content.list()) {
      if (!needed.has(info.digest) && info.createdAt < old) gone.push(info.digest);
    }
    await this.#delete(gone);
  }

  #needed(): Set<Digest> {
    const needed = new Set<Digest>();
    const waiting: Digest[] = [];
    for (const { data } of this.#store.all()) {
      if (data.blob !== undefined) waiting.push(data.blob.digest);
      for (const variant of data.variants) waiting.push(variant.digest);
    }
    for (const owner of this.#owners) waiting.push(...owner());
    for (let at = waiting.pop(); at !== undefined; at = waiting.pop()) {
      if (needed.has(at)) continue;
      needed.add(at);
      for (const [label, value] of this.#content.find(at)?.labels ?? []) {
        if (label.startsWith(REFERENCE)) waiting.push(value as Digest);
      }
    }
    return needed;
  }

  async #delete(digests: readonly Digest[]): Promise<void> {
    for (const digest of digests) {
      if (this.#content.find(digest) === undefined) continue;
      try {
        await this.#content.delete(digest);
      } catch (error) {
        logger.warn('blob could not be removed', { digest, error });
      }
    }
  }
}
