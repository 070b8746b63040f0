/**
 * For each remote one bare repository that is kept between builds, so that only what is new has to be fetched. Its record carries
 * the note `git-remote` and the index `git-remote::<remote>`; who uses it has it alone.
 */
import { KeyedMutex, logger, wrapError } from '../../base/index.ts';
import { redactCredentials } from '../../llb/index.ts';
import { mountLocally } from '../../storage/index.ts';
import type { CacheAccessor, MutableRef } from '../../storage/types.ts';
import type { Git } from './git-program.ts';

const NOTE = 'git-remote';
const indexOf = (remote: string): string => `${NOTE}::${remote}`;

export interface OpenRepository {
  /** The folder of the bare repository. */
  readonly dir: string;
  release(): Promise<void>;
}

export interface OpenOptions {
  /** A new one names its objects by sha256. */
  readonly sha256: boolean;
  /** Leaves what there is and starts anew. */
  readonly reset: boolean;
}

export class SharedRepositories {
  readonly #accessor: CacheAccessor;
  readonly #locks = new KeyedMutex<string>();

  constructor(accessor: CacheAccessor) {
    this.#accessor = accessor;
  }

  /** To be held around everything that is done with the repository of `remote`. */
  lock(remote: string, signal: AbortSignal): Promise<() => void> {
    return this.#locks.acquire(remote, signal);
  }

  async open(remote: string, git: Git, options: OpenOptions): Promise<OpenRepository> {
    if (options.reset) await this.#abandon(remote);
    const known = options.reset ? undefined : await this.#find(remote);
    const ref = known ?? (await this.#create(remote));
    try {
      const mounted = await mountLocally(ref, { readonly: false });
      const release = async (): Promise<void> => {
        try {
          await mounted.release();
        } finally {
          await ref.release();
        }
      };
      try {
        if (known === undefined) await initialise(remote, git.at({ gitDir: mounted.dir }), mounted.dir, options.sha256);
      } catch (error) {
        await mounted.release();
        throw error;
      }
      if (known === undefined) {
        await ref.metadata.set(NOTE, remote, indexOf(remote));
        await ref.metadata.setRetain(true);
      }
      return { dir: mounted.dir, release };
    } catch (error) {
      await ref.release();
      throw error;
    }
  }

  async #find(remote: string): Promise<MutableRef | undefined> {
    for (const { id } of await this.#accessor.search(indexOf(remote))) {
      try {
        return await this.#accessor.getMutable(id);
      } catch (error) {
        logger.warn('a shared git repository cannot be used', { remote: redactCredentials(remote), id, error });
      }
    }
    return undefined;
  }

  #create(remote: string): Promise<MutableRef> {
    // Kept once there is a repository in it.
    return this.#accessor.create(undefined, { description: `shared git repo for ${redactCredentials(remote)}` });
  }

  async #abandon(remote: string): Promise<void> {
    for (const record of await this.#accessor.search(indexOf(remote))) {
      await record.set(NOTE, undefined);
      await record.setRetain(false);
    }
  }
}

async function initialise(remote: string, git: Git, dir: string, sha256: boolean): Promise<void> {
  try {
    await initRepository(git, { bare: true, sha256 });
  } catch (error) {
    throw wrapError(error, `failed to init repo at ${dir}`);
  }
  try {
    await git.run('remote', 'add', '--', 'origin', remote);
  } catch (error) {
    throw wrapError(error, `failed add origin repo at ${dir}`);
  }
}

export async function initRepository(git: Git, options: { bare: boolean; sha256: boolean }): Promise<void> {
  await git.run(
    // Named, so that git gives no advice about it.
    '-c',
    'init.defaultBranch=master',
    'init',
    ...(options.bare ? ['--bare'] : []),
    ...(options.sha256 ? ['--object-format=sha256'] : []),
  );
}
