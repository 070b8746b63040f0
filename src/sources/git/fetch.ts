/** Brings what a build wants of a remote into its shared repository. */
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { BuildError, Code, toBuildError, wrapError } from '../../base/index.ts';
import { redactCredentials } from '../../llb/index.ts';
import { checksumMismatch } from './attrs.ts';
import type { GitRequest } from './attrs.ts';
import { isCommitId } from './object-id.ts';
import type { Git } from './git-program.ts';
import type { ResolvedRef } from './resolve-ref.ts';
import type { SharedRepositories } from './shared-repositories.ts';

export interface FetchTarget {
  readonly request: GitRequest;
  /** What the cache key was made of: the remote may have moved on since. */
  readonly resolved: ResolvedRef;
  /** Where to fetch from instead of the remote itself, once that has to be known: the repository of a bundle. */
  readonly instead?: () => Promise<string>;
}

/** The shared repository with what was wanted in it; nobody else has it until `release`. */
export interface FetchedRepository {
  readonly git: Git;
  readonly dir: string;
  /** As the user named it; the default branch where none was named. */
  readonly ref: string;
  /** Names the commit (or its tag) in this repository. */
  readonly commitish: string;
  readonly sha256: boolean;
  release(): Promise<void>;
}

/** What the repository that is kept makes impossible, and a fresh one does not. */
function needsFreshRepository(error: unknown): boolean {
  const { message } = toBuildError(error);
  // A tag was moved at the remote; a branch is now the folder of other branches.
  if (message.includes('rejected') && message.includes('(would clobber existing tag)')) return true;
  if (message.includes('some local refs could not be updated;')) {
    return message.includes('(unable to update local ref)') || message.includes('refname conflict');
  }
  // What a daemon that was killed left behind.
  return /\.lock': File exists|object file .* is empty|loose object .* is corrupt|not a git repository/.test(message);
}

export async function fetchRepository(
  shared: SharedRepositories,
  git: Git,
  target: FetchTarget,
  signal: AbortSignal,
): Promise<FetchedRepository> {
  const { remote } = target.request;
  const unlock = await shared.lock(remote, signal);
  const attempt = async (reset: boolean): Promise<FetchedRepository> => {
    const sha256 = target.resolved.checksum.length === 64;
    const opened = await shared.open(remote, git, { sha256, reset });
    try {
      const fetched = await fetchInto(git.at({ gitDir: opened.dir }), opened.dir, target);
      const release = async (): Promise<void> => {
        try {
          await opened.release();
        } finally {
          unlock();
        }
      };
      return { ...fetched, dir: opened.dir, sha256, release };
    } catch (error) {
      await opened.release();
      throw error;
    }
  };
  try {
    try {
      return await attempt(false);
    } catch (error) {
      if (!needsFreshRepository(error)) throw error;
      return await attempt(true);
    }
  } catch (error) {
    unlock();
    throw error;
  }
}

function refOf({ request, resolved }: FetchTarget): string {
  if (request.bundle !== undefined && (request.ref === '' || isCommitId(request.ref))) return request.checksum;
  if (request.fetchByCommit) return resolved.ref;
  return request.ref === '' ? resolved.ref.replace(/^refs\/heads\//, '') : request.ref;
}

async function fetchInto(
  git: Git,
  dir: string,
  target: FetchTarget,
): Promise<Omit<FetchedRepository, 'dir' | 'sha256' | 'release'>> {
  const { request } = target;
  const ref = refOf(target);
  const byCommit = request.fetchByCommit && request.checksum !== '' ? request.checksum : ref;
  const commitish = isCommitId(byCommit) ? byCommit : localName(ref);
  // The history of a bundle is a whole one.
  const isShallow = request.checkoutBundle && existsSync(join(dir, 'shallow'));
  if (isShallow || !(await isThere(git, commitish, target))) await fetchRef(git, dir, target, { ref, commitish });
  if (request.checksum !== '') await checkChecksum(git, commitish, request);
  return { git, ref, commitish };
}

/** An object alone may be what a fetch that was killed has left; a name is only given to what is complete. */
async function isThere(git: Git, commitish: string, { resolved }: FetchTarget): Promise<boolean> {
  const name = isCommitId(commitish) ? keptName(commitish) : commitish;
  const args = ['rev-parse', '--verify', '--quiet', name];
  return (await git.succeeds(...args)) && (await git.text(...args)) === resolved.checksum;
}

/** The name of a commit that was fetched by its id, which would have none else. */
export function keptName(id: string): string {
  return `refs/buildkit/${id}`;
}

/** The fetched ref is kept below refs/tags, whatever it is: then it is advertised at the next fetch. */
function localName(ref: string): string {
  return ref.startsWith('refs/tags/') ? ref : `refs/tags/${ref}`;
}

async function fetchRef(
  git: Git,
  dir: string,
  { request, resolved, instead }: FetchTarget,
  { ref, commitish }: { ref: string; commitish: string },
): Promise<void> {
  // Left by a fetch that was killed.
  await rm(join(dir, 'shallow.lock'), { force: true });
  const unshallow = (): string[] => (existsSync(join(dir, 'shallow')) ? ['--unshallow'] : []);
  const origin = (await instead?.()) ?? 'origin';
  const one = !request.checkoutBundle && (request.fetchByCommit || !isCommitId(commitish));
  // In full as the remote calls it: a short name may be a branch's and a tag's.
  const asked = isCommitId(commitish) ? commitish : resolved.ref;
  const how = one ? ['--depth=1', '--no-tags'] : ['--tags', ...unshallow()];
  const what = isCommitId(ref) ? ['--', origin, ref] : ['--force', '--', origin, `${asked}:${localName(ref)}`];
  const remote = async (...args: string[]): Promise<void> => {
    try {
      await git.run('fetch', ...args);
    } catch (error) {
      throw wrapError(error, `failed to fetch remote ${redactCredentials(request.remote)}`);
    }
  };
  await remote(...how, ...what);

  // The remote may have moved since the key was made. The commit of the key counts.
  const expected = resolved.checksum;
  if ((await git.text('rev-parse', commitish)) === expected) {
    // Where the remote had it not, the checkout will say so.
    const isNew = isCommitId(commitish) && (await git.succeeds('cat-file', '-e', `${commitish}^{commit}`));
    if (isNew) await git.run('update-ref', keptName(commitish), commitish);
    return;
  }
  if (!(await git.succeeds('cat-file', '-e', expected))) {
    await remote('--tags', ...unshallow(), '--', origin, expected);
    try {
      await git.run('reflog', 'expire', '--all', '--expire=now');
    } catch (error) {
      throw wrapError(error, `failed to expire reflog for remote ${redactCredentials(request.remote)}`);
    }
    if (!(await git.succeeds('cat-file', '-e', expected))) {
      throw new BuildError(
        Code.Unknown,
        `fetched ref ${ref} does not match expected commit ${expected} and commit can not be found in the repository`,
      );
    }
  }
  await git.run('update-ref', '--no-deref', localName(ref), expected);
}

async function checkChecksum(git: Git, commitish: string, request: GitRequest): Promise<void> {
  const { checksum } = request;
  let actual: string;
  try {
    actual = await git.text('rev-parse', commitish);
  } catch (error) {
    throw wrapError(error, `failed to rev-parse ${commitish} for ${redactCredentials(request.remote)}`);
  }
  if (actual.startsWith(checksum)) return;
  const peeled = (await git.succeeds('rev-parse', `${commitish}^{}`))
    ? await git.text('rev-parse', `${commitish}^{}`)
    : actual;
  if (peeled === actual) throw checksumMismatch(checksum, actual);
  if (!peeled.startsWith(checksum)) throw checksumMismatch(checksum, `${actual} or ${peeled}`);
}
