import { createHash } from 'node:crypto';
import { existsSync, mkdirSync } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { BuildError, Code, KeyedMutex, notFound, ThreadPool, workerEntry } from '../../base/index.ts';
import type { TreeChange } from '../../files/types.ts';
import type { Digest } from '../../oci/types.ts';
import { layerDirsOf } from '../tree/index.ts';
import type { LayerDirs } from '../tree/index.ts';
import type { ContentChange } from '../../solver/types.ts';
import type { ContentSelector, ImmutableRef, StorageContext } from '../types.ts';
import { noteChange } from './changes.ts';
import type { ChecksumJob, CommitJob, CompareJob } from './jobs.ts';
import type { TreeFiles } from './stored-trees.ts';
import type { TreeHasher, TreeHasherOptions } from './types.ts';

const EMPTY = 'sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855' as Digest;
const CONTEXTS = 20;

export class FileTreeHasher implements TreeHasher {
  readonly #options: TreeHasherOptions;
  readonly #contexts: number;
  readonly #pool = new ThreadPool(workerEntry(import.meta.url, 'content-hash.worker'), {
    idleMs: 1500,
    lastIdleMs: 60_000,
  });
  readonly #locks = new KeyedMutex<string>();
  /** Trees between beginChanges and commitChanges, with their journals once there are changes. */
  readonly #changing = new Map<string, FileHandle | undefined>();

  constructor(options: TreeHasherOptions) {
    this.#options = options;
    this.#contexts = options.contexts ?? CONTEXTS;
    mkdirSync(options.directory, { recursive: true, mode: 0o700 });
  }

  async checksum(
    ref: ImmutableRef | undefined,
    path: string,
    selector: Omit<ContentSelector, 'path'>,
    context: StorageContext,
  ): Promise<Digest> {
    if (ref === undefined) {
      if (path === '/') return EMPTY;
      throw notFound(`${path}: no such file or directory`);
    }
    const id = this.#options.keyOf?.(ref) ?? ref.id;
    const release = await this.#locks.acquire(id, context.signal);
    try {
      const job = {
        files: this.#files(id),
        contexts: this.#contexts,
        path,
        selector,
        foldsCase: ref.system === 'windows',
        changing: this.#changing.has(id),
      };
      const known = await this.#run({ ...job, layers: undefined }, context);
      if (known !== undefined) return known;
      return await this.#withFiles(ref, context, async (layers) => {
        const digest = await this.#run({ ...job, layers }, context);
        if (digest === undefined) throw new BuildError(Code.Internal, `no files for ${id}`);
        return digest;
      });
    } finally {
      release();
    }
  }

  async compare(
    ref: ImmutableRef,
    selectors: readonly ContentSelector[],
    step: string,
    context: StorageContext,
  ): Promise<ContentChange | undefined> {
    const id = this.#options.keyOf?.(ref) ?? ref.id;
    // What a client sends again and again keeps its record: then the step of another client's folder is another step.
    const name = createHash('sha256')
      .update(`${id === ref.id ? '' : id}\0${step}`)
      .digest('hex');
    const release = await this.#locks.acquire(id, context.signal);
    try {
      if (this.#changing.has(id)) return undefined;
      return await this.#withFiles(ref, context, (layers) => {
        const memory = join(this.#options.directory, 'seen', name);
        const job: CompareJob = {
          files: this.#files(id),
          contexts: this.#contexts,
          selectors,
          layers,
          memory,
          foldsCase: ref.system === 'windows',
        };
        return this.#pool.call<ContentChange | undefined>(
          'compare',
          job,
          context.signal ? { signal: context.signal } : {},
        );
      });
    } finally {
      release();
    }
  }

  #run(job: ChecksumJob, { signal }: StorageContext): Promise<Digest | undefined> {
    return this.#pool.call<Digest | undefined>('checksum', job, signal === undefined ? {} : { signal });
  }

  async #withFiles<T>(ref: ImmutableRef, context: StorageContext, work: (layers: LayerDirs) => Promise<T>): Promise<T> {
    await ref.unlazy(context);
    const set = await ref.mounts({ readonly: true });
    try {
      const layers = layerDirsOf(set.mounts);
      if (layers !== undefined) return await work(layers);
      const { mount } = this.#options;
      if (mount === undefined) throw new BuildError(Code.Unimplemented, `cannot read the files of ${ref.id} in place`);
      const mounted = await mount(set.mounts);
      try {
        return await work([mounted.dir]);
      } finally {
        await mounted.release();
      }
    } finally {
      await set.release();
    }
  }

  beginChanges(id: string): Promise<string> {
    return this.#locks.run(id, async () => {
      const { tree, journal } = this.#files(id);
      await this.#endChanges(id);
      // One that is there already was left by changes that never ended.
      if (existsSync(journal)) {
        await rm(tree, { force: true });
        await sync(this.#options.directory);
        await rm(journal, { force: true });
      }
      this.#changing.set(id, undefined);
      return journal;
    });
  }

  async applyChanges(id: string, changes: readonly TreeChange[]): Promise<void> {
    if (changes.length === 0) return;
    const lines = changes.map((change) => `${JSON.stringify(noteChange(change))}\n`).join('');
    await this.#locks.run(id, async () => {
      this.#mustBeChanging(id);
      let file = this.#changing.get(id);
      if (file === undefined) this.#changing.set(id, (file = await open(this.#files(id).journal, 'a', 0o600)));
      await file.appendFile(lines);
    });
  }

  async commitChanges(id: string): Promise<void> {
    await this.#locks.run(id, async () => {
      this.#mustBeChanging(id);
      const files = this.#files(id);
      const job: CommitJob = { files, contexts: this.#contexts };
      if (existsSync(files.journal)) await this.#pool.call<void>('commit', job);
      await this.#endChanges(id);
    });
  }

  async drop(id: string): Promise<void> {
    await this.#locks.run(id, async () => {
      const { tree, journal } = this.#files(id);
      await rm(tree, { force: true });
      await sync(this.#options.directory);
      await rm(journal, { force: true });
      await this.#endChanges(id);
    });
  }

  #mustBeChanging(id: string): void {
    if (!this.#changing.has(id)) throw new BuildError(Code.FailedPrecondition, `${id} is not being changed`);
  }

  async #endChanges(id: string): Promise<void> {
    const file = this.#changing.get(id);
    this.#changing.delete(id);
    await file?.close();
  }

  async close(): Promise<void> {
    for (const id of this.#changing.keys()) await this.#endChanges(id);
    await this.#pool.close();
  }

  #files(id: string): TreeFiles {
    const name = encodeURIComponent(id).replaceAll('.', '%2E');
    return {
      tree: join(this.#options.directory, `${name}.tree`),
      journal: join(this.#options.directory, `${name}.changes`),
    };
  }
}

async function sync(directory: string): Promise<void> {
  const folder = await open(directory, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
