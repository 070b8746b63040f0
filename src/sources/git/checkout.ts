/** A commit of a repository becomes a tree of files: with or without its history, with its submodules, or one folder of it. */
import { chmod, lstat, lutimes, mkdtemp, opendir, readdir, rename, rm } from 'node:fs/promises';
import { join, posix } from 'node:path';
import { BuildError, Code, throwIfAborted, wrapError } from '../../base/index.ts';
import { redactCredentials } from '../../llb/index.ts';
import { mountLocally } from '../../storage/index.ts';
import type { CacheAccessor, ImmutableRef } from '../../storage/types.ts';
import type { GitRequest } from './attrs.ts';
import { keptName } from './fetch.ts';
import type { FetchedRepository } from './fetch.ts';
import { isCommitId } from './object-id.ts';
import type { Git } from './git-program.ts';
import { initRepository } from './shared-repositories.ts';

export interface CheckoutOptions {
  /** Files get the mode that daemons before v0.15 gave them. */
  readonly oldFileModes: boolean;
}

export async function checkoutTree(
  accessor: CacheAccessor,
  repository: FetchedRepository,
  request: GitRequest,
  options: CheckoutOptions,
  signal: AbortSignal,
): Promise<ImmutableRef> {
  const ref = await accessor.create(undefined, {
    recordType: 'source.git.checkout',
    description: `git snapshot for ${redactCredentials(request.remote)}#${repository.ref}`,
  });
  try {
    const mounted = await mountLocally(ref, { readonly: false });
    try {
      await new Checkout(mounted.dir, repository, request, signal).run(options);
    } finally {
      await mounted.release();
    }
    return await ref.commit();
  } catch (error) {
    await ref.release();
    throw error;
  }
}

class Checkout {
  readonly #dir: string;
  readonly #repository: FetchedRepository;
  readonly #request: GitRequest;
  readonly #signal: AbortSignal;
  readonly #shown: string;

  constructor(dir: string, repository: FetchedRepository, request: GitRequest, signal: AbortSignal) {
    this.#dir = dir;
    this.#repository = repository;
    this.#request = request;
    this.#signal = signal;
    this.#shown = redactCredentials(request.remote);
  }

  async run(options: CheckoutOptions): Promise<void> {
    const { keepGitDir, skipSubmodules, mtime } = this.#request;
    const subdir = posix.join('/', this.#request.subdir).slice(1);
    // For a folder of it, all is checked out beside, then the folder's content moves up.
    const tree = subdir === '' ? this.#dir : await mkdtemp(join(this.#dir, '.checkout-'));
    const git = keepGitDir && subdir === '' ? await this.#withHistory() : await this.#plain(tree);
    if (!skipSubmodules) {
      try {
        await git.run('submodule', 'update', '--init', '--recursive', '--depth=1');
      } catch (error) {
        throw wrapError(error, `failed to update submodules for ${this.#shown}`);
      }
    }
    if (subdir !== '') await this.#moveUp(tree, subdir);
    if (options.oldFileModes) await this.#eachEntry(openToWriters);
    if (mtime === 'commit') await this.#setTimes();
  }

  async #plain(tree: string): Promise<Git> {
    const { git, dir, commitish } = this.#repository;
    const work = git.at({ gitDir: dir, workTree: tree });
    try {
      await work.run('checkout', '--no-overlay', commitish, '--', '.');
    } catch (error) {
      throw wrapError(error, `failed to checkout remote ${this.#shown}`);
    }
    return work;
  }

  /** A repository of its own that knows the one commit, and the remote under its real name. */
  async #withHistory(): Promise<Git> {
    const { git, dir, sha256 } = this.#repository;
    const gitDir = join(this.#dir, '.git');
    const work = git.at({ gitDir, workTree: this.#dir });
    await initRepository(work, { bare: false, sha256 });
    // As an URL: between folders git would link and copy files as they are.
    await work.run('remote', 'add', '--', 'origin', `file://${dir}`);
    await work.run('fetch', '-u', '--depth=1', '--', 'origin', await this.#refspec());
    try {
      await work.run('checkout', 'FETCH_HEAD');
    } catch (error) {
      throw wrapError(error, `failed to checkout remote ${this.#shown}`);
    }
    try {
      await work.run('remote', 'set-url', '--', 'origin', this.#shown);
    } catch (error) {
      throw wrapError(error, `failed to set remote origin to ${this.#shown}`);
    }
    try {
      await work.run('reflog', 'expire', '--all', '--expire=now');
    } catch (error) {
      throw wrapError(error, `failed to expire reflog for remote ${this.#shown}`);
    }
    await rm(join(gitDir, 'FETCH_HEAD'), { force: true });
    return work;
  }

  /** The commit under the name that the user gave it: a tag stays a tag, all else becomes a branch. */
  async #refspec(): Promise<string> {
    const { git, ref, commitish } = this.#repository;
    const isTag = (await git.text('cat-file', '-t', commitish)) === 'tag';
    if (isTag) {
      const source = isCommitId(commitish) ? keptName(commitish) : commitish;
      return `${source}:${ref.startsWith('refs/tags/') ? ref : `refs/tags/${ref}`}`;
    }
    if (!isCommitId(commitish)) return `${commitish}:${ref}`;
    // Only what has a name can be fetched.
    const source = keptName(commitish);
    return isCommitId(ref) ? source : `${source}:${ref}`;
  }

  async #moveUp(tree: string, subdir: string): Promise<void> {
    const from = await this.#folderOf(tree, subdir);
    for (const name of await readdir(from)) {
      throwIfAborted(this.#signal);
      await rename(join(from, name), join(this.#dir, name));
    }
    await rm(tree, { recursive: true });
  }

  /** Folders all the way: a link would lead out of the repository. */
  async #folderOf(tree: string, subdir: string): Promise<string> {
    let path = '';
    for (const part of subdir.split('/').filter((p) => p !== '')) {
      path = posix.join(path, part);
      const stats = await lstat(join(tree, path)).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOENT' && error.code !== 'ENOTDIR') throw error;
        const why = error.code === 'ENOENT' ? 'no such file or directory' : 'not a directory';
        throw new BuildError(
          Code.Unknown,
          `invalid subdir ${subdir}: failed to lstat ${JSON.stringify(path)}: statat ${path}: ${why}`,
        );
      });
      if (stats.isDirectory()) continue;
      throw new BuildError(
        Code.Unknown,
        `invalid subdir ${subdir}: git subpath ${JSON.stringify(subdir)} contains non-directory ${JSON.stringify(path)}`,
      );
    }
    return join(tree, path);
  }

  /** Every file and folder, children before their folder; links are not followed. */
  async #eachEntry(work: (path: string) => Promise<void>, dir = this.#dir): Promise<void> {
    throwIfAborted(this.#signal);
    for await (const entry of await opendir(dir)) {
      const path = join(dir, entry.name);
      if (entry.isDirectory()) await this.#eachEntry(work, path);
      else await work(path);
    }
    await work(dir);
  }

  async #setTimes(): Promise<void> {
    const { git, commitish } = this.#repository;
    try {
      const time = await git.text('log', '-1', '--format=%ct', `${commitish}^{commit}`);
      if (!/^-?\d+$/.test(time))
        throw new BuildError(Code.Unknown, `failed to parse commit timestamp ${JSON.stringify(time)}`);
      const seconds = Number(time);
      await this.#eachEntry((path) => lutimes(path, seconds, seconds));
    } catch (error) {
      throw wrapError(error, `failed to normalize mtimes for ${this.#shown}`);
    }
  }
}

async function openToWriters(path: string): Promise<void> {
  const stats = await lstat(path);
  if (stats.isFile() && (stats.mode & 0o111) === 0) await chmod(path, stats.mode | 0o222);
}
