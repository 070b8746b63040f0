/**
 * `local://name`: a directory of a client. It is kept from build to build and only what has changed is asked for; each client
 * directory (shared key) has its own, and another one while that is in use.
 */
import { createHash } from 'node:crypto';
import type { StepFacts } from '../attest/index.ts';
import { BuildError, invalidArgument, logger, nowNs } from '../base/index.ts';
import type { StepProgress } from '../base/index.ts';
import { receiveTree } from '../files/index.ts';
import type { TreeChange } from '../files/index.ts';
import { pullDirectory } from '../session/index.ts';
import type { SessionCaller, SessionManager } from '../session/types.ts';
import type { JobContext } from '../solver/types.ts';
import type { TreeHasher } from '../storage/contenthash/types.ts';
import { mountLocally } from '../storage/index.ts';
import type { CacheAccessor, ImmutableRef, MutableRef } from '../storage/types.ts';
import { localKeyJson, parseLocal } from './local-attrs.ts';
import type { LocalRequest } from './local-attrs.ts';
import type { Source, SourceInstance } from './types.ts';

export interface LocalSourceDeps {
  readonly sessions: SessionManager;
  readonly accessor: CacheAccessor;
  readonly hasher: TreeHasher;
}

const SHARED_KEY = 'local.sharedKey';
const SESSION_WAIT_MS = 5000;
const PROGRESS_EVERY_MS = 100;

export function createLocalSource(deps: LocalSourceDeps): Source {
  return {
    schemes: ['local'],
    normalize: (request) => `local://${request.ref}`,
    resolve: (request) => new LocalInstance(deps, parseLocal(request)),
  };
}

class LocalInstance implements SourceInstance {
  readonly #deps: LocalSourceDeps;
  readonly #request: LocalRequest;

  constructor(deps: LocalSourceDeps, request: LocalRequest) {
    this.#deps = deps;
    this.#request = request;
  }

  async cacheKey(context: JobContext): Promise<{ key: string; pin: string; done: boolean }> {
    const sessionId = this.#request.sessionId === '' ? context.sessions()[0] : this.#request.sessionId;
    if (sessionId === undefined) throw invalidArgument('could not access local files without session');
    const digest = createHash('sha256').update(localKeyJson(this.#request, sessionId)).digest('hex');
    return { key: `session:${this.#request.name}:sha256:${digest}`, pin: `sha256:${digest}`, done: true };
  }

  facts(): StepFacts {
    return { materials: [{ kind: 'local', name: this.#request.name }] };
  }

  async snapshot(context: JobContext): Promise<ImmutableRef> {
    const { sessions } = this.#deps;
    const ask = (caller: SessionCaller): Promise<ImmutableRef> => this.#transfer(caller, context);
    const askAny = (): Promise<ImmutableRef> => sessions.any(() => context.sessions(), context.signal, ask);
    if (this.#request.sessionId === '') return askAny();
    let caller: SessionCaller;
    try {
      const signal = AbortSignal.any([context.signal, AbortSignal.timeout(SESSION_WAIT_MS)]);
      caller = await sessions.get(this.#request.sessionId, { signal });
    } catch (error) {
      if (context.signal.aborted) throw error;
      return askAny();
    }
    try {
      return await ask(caller);
    } catch (error) {
      // Another client of the same build may have the directory.
      if (error instanceof BuildError && error.message.includes('no access allowed to dir')) return askAny();
      throw error;
    }
  }

  async #transfer(caller: SessionCaller, context: JobContext): Promise<ImmutableRef> {
    const { name, sharedKeyHint, metadataOnly } = this.#request;
    const sharedKey = `${name}:${sharedKeyHint}:${caller.sharedKey}${metadataOnly ? ':metadata' : ''}`;
    const { hasher } = this.#deps;
    const mutable = await this.#open(sharedKey);
    try {
      // Made before the first write: should this end half-way, whatever comes next must not trust the digests.
      const marker = await hasher.beginChanges(mutable.id);
      await this.#receive(caller, mutable, marker, context);
      await hasher.commitChanges(mutable.id);
      if (mutable.metadata.get(SHARED_KEY) !== sharedKey) {
        await mutable.metadata.set(SHARED_KEY, sharedKey, indexOf(sharedKey));
      }
    } catch (error) {
      await this.#discard(mutable);
      throw error;
    }
    return mutable.commit();
  }

  /** The tree of the transfer before, when nobody uses it. */
  async #open(sharedKey: string): Promise<MutableRef> {
    const { accessor } = this.#deps;
    for (const found of await accessor.search(indexOf(sharedKey))) {
      try {
        return await accessor.getMutable(found.id);
      } catch (error) {
        logger.debug('not reusing ref for local', { id: found.id, error });
      }
    }
    return accessor.create(undefined, {
      description: `local source for ${this.#request.name}`,
      recordType: 'source.local',
      retain: true,
    });
  }

  async #receive(caller: SessionCaller, mutable: MutableRef, marker: string, context: JobContext): Promise<void> {
    const { name, includePatterns, excludePatterns, followPaths, differ, metadataOnly, metadataExceptions } =
      this.#request;
    const { hasher } = this.#deps;
    const signal = AbortSignal.any([context.signal, caller.signal]);
    const mounted = await mountLocally(mutable, { readonly: false });
    let applied: Promise<void> = Promise.resolve();
    const onChanges = (changes: readonly TreeChange[]): void => {
      applied = applied.then(() => hasher.applyChanges(mutable.id, changes));
      // Seen below, when the transfer has ended.
      applied.catch(() => {});
    };
    try {
      const call = pullDirectory(caller, { name, includePatterns, excludePatterns, followPaths }, signal);
      try {
        await receiveTree(mounted.dir, call, {
          differ,
          marker,
          onChanges,
          onProgress: transferProgress(context.progress, name),
          metadataOnly: metadataOnly ? { exceptions: metadataExceptions ?? [] } : undefined,
          signal,
        });
        call.close();
      } catch (error) {
        call.cancel(error as Error);
        throw error;
      }
      await applied;
    } finally {
      await applied.catch(() => {});
      await mounted.release();
    }
  }

  /** What a failed transfer leaves is neither kept nor trusted. */
  async #discard(mutable: MutableRef): Promise<void> {
    // One may fail, as where no descriptor is left, and the other shall be done all the same.
    const forgotten = this.#deps.hasher.drop(mutable.id);
    for (const done of await Promise.allSettled([forgotten, mutable.metadata.setRetain(false)])) {
      if (done.status === 'rejected') {
        logger.error('failed to discard local source', { id: mutable.id, error: done.reason });
      }
    }
    await mutable.release();
  }
}

function indexOf(sharedKey: string): string {
  return `${SHARED_KEY}:${sharedKey}`;
}

function transferProgress(progress: StepProgress, directory: string): (bytes: number, done: boolean) => void {
  const id = `transferring ${directory}:`;
  // What clients count bytes by.
  const name = 'transferring';
  const started = nowNs();
  let last = 0;
  progress.status({ id, name, current: 0, started });
  return (bytes, done) => {
    const now = Date.now();
    if (!done && now - last < PROGRESS_EVERY_MS) return;
    last = now;
    progress.status({ id, name, current: bytes, started, ...(done ? { completed: nowNs() } : {}) });
  };
}
