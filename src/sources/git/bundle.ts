/** Bundles (gitformat-bundle(5)): a history in one file, which can stand for a remote, or be what is wanted of it. */
import { createHash } from 'node:crypto';
import { copyFile, mkdir, mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BuildError, Code, wrapError } from '../../base/index.ts';
import { redactCredentials } from '../../llb/index.ts';
import type { Digest } from '../../oci/index.ts';
import { mountLocally } from '../../storage/index.ts';
import type { CacheAccessor, ImmutableRef } from '../../storage/types.ts';
import { checksumMismatch } from './attrs.ts';
import type { GitRequest } from './attrs.ts';
import type { FetchedRepository } from './fetch.ts';
import { isCommitId } from './object-id.ts';
import type { Git } from './git-program.ts';
import type { BundleLocation } from './open-bundle.ts';
import { initRepository } from './shared-repositories.ts';

/** Name of the file in the result. */
const BUNDLE_FILE = 'bundle';
const UNNAMED = 'refs/heads/main';

type OpenBundle = (location: BundleLocation) => Promise<AsyncIterable<Uint8Array>>;

/** A repository with what a bundle holds, under its own names, until `release`. */
export interface StagedBundle {
  /** For git to fetch from. */
  readonly url: string;
  release(): Promise<void>;
}

async function save(bytes: AsyncIterable<Uint8Array>, path: string, digest: Digest): Promise<void> {
  const hash = createHash('sha256');
  const file = await open(path, 'wx', 0o600);
  try {
    for await (const chunk of bytes) {
      hash.update(chunk);
      await file.write(chunk);
    }
  } finally {
    await file.close();
  }
  const actual = `sha256:${hash.digest('hex')}`;
  if (actual !== digest) throw checksumMismatch(digest, actual);
}

/** Which of git's two hashes names the objects. */
async function usesSha256(git: Git, path: string): Promise<boolean> {
  let listing: string;
  try {
    listing = await git.text('ls-remote', '--', path);
  } catch (error) {
    throw wrapError(error, `failed to inspect git bundle ${path}`);
  }
  const [id] = listing.split('\t', 1);
  if (id === '') throw new BuildError(Code.Unknown, `failed to inspect git bundle ${path}: no refs found`);
  if (isCommitId(id)) return id.length === 64;
  throw new BuildError(Code.Unknown, `failed to inspect git bundle ${path}: invalid object ID ${JSON.stringify(id)}`);
}

async function stage(
  git: Git,
  dir: string,
  bundle: BundleLocation,
  checksum: string,
  from: OpenBundle,
): Promise<string> {
  const path = join(dir, 'bundle.pack');
  let bytes: AsyncIterable<Uint8Array>;
  try {
    bytes = await from(bundle);
  } catch (error) {
    throw wrapError(error, `failed to fetch git bundle ${bundle.ref}`);
  }
  await save(bytes, path, bundle.digest);
  const sha256 = await usesSha256(git, path);
  const gitDir = join(dir, 'repo.git');
  await mkdir(gitDir, { mode: 0o700 });
  const staged = git.at({ gitDir });
  try {
    await initRepository(staged, { bare: true, sha256 });
  } catch (error) {
    throw wrapError(error, 'failed to init temp bare repo');
  }
  try {
    await staged.run('fetch', '--', path, '+refs/*:refs/*');
  } catch (error) {
    throw wrapError(error, `failed to import git bundle ${bundle.ref} into temp`);
  }
  if (!(await staged.succeeds('cat-file', '-e', `${checksum}^{commit}`))) {
    throw new BuildError(Code.Unknown, `commit ${checksum} not found in bundle ${bundle.ref}`);
  }
  await rm(path);
  return `file://${gitDir}`;
}

/** Throws when the bundle is not what its digest says, or has not the commit. */
export async function stageBundle(
  git: Git,
  bundle: BundleLocation,
  checksum: string,
  from: OpenBundle,
): Promise<StagedBundle> {
  const dir = await mkdtemp(join(tmpdir(), 'buildkit-bundle-'));
  const release = (): Promise<void> => rm(dir, { recursive: true, force: true });
  try {
    return { url: await stage(git, dir, bundle, checksum, from), release };
  } catch (error) {
    await release();
    throw error;
  }
}

/** A bundle has names only. A tag that was called one stays one; what has no name becomes the branch `main`. */
export function bundleRef(ref: string): string {
  if (ref === '' || isCommitId(ref)) return UNNAMED;
  return ref.startsWith('refs/tags/') ? ref : `refs/heads/${ref.replace(/^refs\//, '').replace(/^heads\//, '')}`;
}

async function createBundle(repository: FetchedRepository, dir: string): Promise<string> {
  const { git, ref, commitish, sha256 } = repository;
  const id = await git.text('rev-parse', commitish);
  const gitDir = join(dir, 'repo.git');
  await mkdir(gitDir, { mode: 0o700 });
  // In a repository of its own: the shared one calls the commit by other names.
  const own = git.at({ gitDir });
  try {
    await initRepository(own, { bare: true, sha256 });
  } catch (error) {
    throw wrapError(error, 'failed to init temp bare repo for bundle creation');
  }
  try {
    await own.run('fetch', '--', `file://${repository.dir}`, id);
  } catch (error) {
    throw wrapError(error, `failed to fetch commit ${id} from shared repo for bundle creation`);
  }
  const name = bundleRef(ref);
  try {
    await own.run('update-ref', name, id);
  } catch (error) {
    throw wrapError(error, `failed to create target ref for bundle ${id}`);
  }
  const path = join(dir, 'out.bundle');
  try {
    await own.run('bundle', 'create', path, name);
  } catch (error) {
    throw wrapError(error, `failed to create git bundle for ${id}`);
  }
  return path;
}

/** The history of the commit as one file, instead of its tree. Submodules are not in it. */
export async function checkoutBundle(
  accessor: CacheAccessor,
  repository: FetchedRepository,
  request: GitRequest,
): Promise<ImmutableRef> {
  const description = `git bundle checkout for ${redactCredentials(request.remote)}#${repository.ref}`;
  const ref = await accessor.create(undefined, { description });
  try {
    const dir = await mkdtemp(join(tmpdir(), 'buildkit-bundle-create-'));
    try {
      const path = await createBundle(repository, dir);
      const mounted = await mountLocally(ref, { readonly: false });
      try {
        await copyFile(path, join(mounted.dir, BUNDLE_FILE));
      } finally {
        await mounted.release();
      }
    } finally {
      await rm(dir, { recursive: true, force: true });
    }
    return await ref.commit();
  } catch (error) {
    await ref.release();
    throw error;
  }
}
