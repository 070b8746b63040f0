/**
 * Cache mounts: directories that outlive the step, found again by their key. A key's record is marked by the note
 * `cache-dir` and the index `cache-dir:<key>`.
 */
import { BuildError, Code, KeyedMutex, invalidArgument, logger, sleep, throwIfAborted } from '../../base/index.ts';
import { CacheSharingOpt } from '../../proto/ops.pb.ts';
import type { CacheAccessor, ImmutableRef, MutableRef } from '../../storage/types.ts';

const NOTE = 'cache-dir';
/** With the mount's id alone, so that all directories of an id can be found whatever they are based on. */
const ID_NOTE = 'cache-dir-id';
const POLL_MS = 100;

/** A cache directory of one step; others may have it at the same time where it is shared. */
export interface CacheMount {
  readonly ref: MutableRef;
  release(): Promise<void>;
}

export interface CacheMountRequest {
  readonly id: string;
  readonly sharing: number;
  /** What a new directory starts from. */
  readonly base: ImmutableRef | undefined;
  readonly description: string;
}

export function cacheMountKey(request: Pick<CacheMountRequest, 'id' | 'base'>): string {
  return request.base === undefined ? request.id : `${request.id}:${request.base.id}`;
}

/** The cache directories of one store; one object for all its steps, for it knows which are in use. */
export class CacheMounts {
  readonly #accessor: CacheAccessor;
  readonly #shared = new Map<string, { readonly ref: MutableRef; users: number }>();
  /** Held while a key's records are looked through, made or let go. */
  readonly #locks = new KeyedMutex<string>();

  constructor(accessor: CacheAccessor) {
    this.#accessor = accessor;
  }

  async acquire(request: CacheMountRequest, signal: AbortSignal): Promise<CacheMount> {
    const { sharing } = request;
    const key = cacheMountKey(request);
    if (sharing === CacheSharingOpt.SHARED) return this.#acquireShared(key, request, signal);
    if (sharing !== CacheSharingOpt.PRIVATE && sharing !== CacheSharingOpt.LOCKED) {
      throw invalidArgument(`invalid cache sharing option: ${sharing}`);
    }
    for (;;) {
      const ref = await this.#locks.run(
        key,
        () => this.#open(key, request, sharing === CacheSharingOpt.LOCKED),
        signal,
      );
      if (ref !== undefined) return { ref, release: () => ref.release() };
      await sleep(POLL_MS, signal);
    }
  }

  async #acquireShared(key: string, request: CacheMountRequest, signal: AbortSignal): Promise<CacheMount> {
    return this.#locks.run(
      key,
      async () => {
        throwIfAborted(signal);
        let share = this.#shared.get(key);
        // One that was pruned meanwhile has lost its note: it stays with those who have it.
        if (share === undefined || share.ref.metadata.get(NOTE) !== key) {
          const ref = await this.#open(key, request, false);
          share = { ref: ref as MutableRef, users: 0 };
          this.#shared.set(key, share);
        }
        share.users++;
        const taken = share;
        return { ref: taken.ref, release: () => this.#locks.run(key, () => this.#leave(key, taken)) };
      },
      signal,
    );
  }

  async #leave(key: string, share: { readonly ref: MutableRef; users: number }): Promise<void> {
    if (--share.users > 0) return;
    if (this.#shared.get(key) === share) this.#shared.delete(key);
    await share.ref.release();
  }

  /** A free directory of the key, else a new one; undefined where `mayWait` and all that there are are taken. */
  async #open(key: string, request: CacheMountRequest, mayWait: boolean): Promise<MutableRef | undefined> {
    let isLocked = false;
    for (const record of await this.#accessor.search(`${NOTE}:${key}`)) {
      try {
        return await this.#accessor.getMutable(record.id);
      } catch (error) {
        if (error instanceof BuildError && error.code === Code.FailedPrecondition) isLocked = true;
        else logger.warn('a cache directory cannot be used again', { id: request.id, record: record.id, error });
      }
    }
    if (mayWait && isLocked) return undefined;
    const ref = await this.#accessor.create(request.base, {
      recordType: 'exec.cachemount',
      description: request.description,
      retain: true,
    });
    try {
      await ref.metadata.set(ID_NOTE, request.id, `${ID_NOTE}:${request.id}`);
      await ref.metadata.set(NOTE, key, `${NOTE}:${key}`);
    } catch (error) {
      // Nobody would find it again.
      await ref.metadata.setRetain(false).catch(() => {});
      await ref.release();
      throw error;
    }
    return ref;
  }
}

/** The next step that mounts one of these ids finds an empty directory; who has one now keeps it. */
export async function dropCacheMounts(accessor: CacheAccessor, ids: Iterable<string>): Promise<void> {
  for (const id of ids) {
    for (const record of await accessor.search(`${ID_NOTE}:${id}`)) {
      await record.set(NOTE, undefined);
      await record.set(ID_NOTE, undefined);
      await record.setRetain(false);
    }
  }
}

const byStore = new WeakMap<CacheAccessor, CacheMounts>();

export function cacheMountsOf(accessor: CacheAccessor): CacheMounts {
  let mounts = byStore.get(accessor);
  if (mounts === undefined) byStore.set(accessor, (mounts = new CacheMounts(accessor)));
  return mounts;
}
