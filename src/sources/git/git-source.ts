/** `git://host/path#ref:subdir`: a commit of a repository, checked out. */
import type { StepFacts } from '../../attest/index.ts';
import { BuildError, Code, internal, invalidArgument, isNotFound, KeyedMutex } from '../../base/index.ts';
import type { JobContext } from '../../solver/types.ts';
import type { CacheAccessor, ImmutableRef } from '../../storage/types.ts';
import { compatibilityOf } from '../compatibility.ts';
import { askerOf } from '../image.ts';
import type { ImageDeps } from '../image-origin.ts';
import type { SourceDescription } from '../../llb/index.ts';
import type { DescribeOptions, Source, SourceInstance, SourceKey } from '../types.ts';
import { withAccess } from './access.ts';
import { checksumMismatch, normalizeGit, parseGit } from './attrs.ts';
import type { GitRequest } from './attrs.ts';
import { gitCacheKey } from './cache-key.ts';
import { checkoutBundle, stageBundle } from './bundle.ts';
import type { StagedBundle } from './bundle.ts';
import { checkoutTree } from './checkout.ts';
import { fetchRepository } from './fetch.ts';
import { isCommitId } from './object-id.ts';
import type { Git } from './git-program.ts';
import { openBundle } from './open-bundle.ts';
import { readObjects } from './objects.ts';
import type { GitObjects } from './objects.ts';
import { resolveRemoteRef } from './resolve-ref.ts';
import type { ResolvedRef } from './resolve-ref.ts';
import { SharedRepositories } from './shared-repositories.ts';
import { verifySignature } from './verify-objects.ts';

export interface GitSourceDeps extends ImageDeps {
  readonly accessor: CacheAccessor;
  /** How long a server may send nothing; 5 min by default. */
  readonly gitIdleMs?: number;
}

const SNAPSHOT_NOTE = 'git-snapshot';
/** The compatibility version that makes files writable for all. */
const OLD_FILE_MODES = 10;

/** Everything that the git sources of one daemon share. */
interface GitWorld extends GitSourceDeps {
  readonly shared: SharedRepositories;
  readonly snapshots: KeyedMutex<string>;
}

export function createGitSource(deps: GitSourceDeps): Source {
  const world = { ...deps, shared: new SharedRepositories(deps.accessor), snapshots: new KeyedMutex<string>() };
  return {
    schemes: ['git'],
    normalize: (request) => normalizeGit(parseGit(request)),
    resolve: (request) => new GitInstance(world, parseGit(request)),
    describe: (request, options, context) => new GitInstance(world, parseGit(request)).describe(options, context),
  };
}

class GitInstance implements SourceInstance {
  readonly #world: GitWorld;
  readonly #request: GitRequest;
  #resolved: ResolvedRef | undefined;

  constructor(world: GitWorld, request: GitRequest) {
    this.#world = world;
    this.#request = request;
  }

  async cacheKey(context: JobContext): Promise<SourceKey> {
    const resolved = await this.#resolve(context);
    const { signature } = this.#request;
    if (signature !== undefined) await verifySignature(await this.#objects(context, resolved), signature);
    const key = gitCacheKey(this.#request, resolved);
    return { key, pin: resolved.checksum, done: true };
  }

  facts(pin: string): StepFacts {
    const { remote, ref, bundle, tokenSecret, headerSecret, agentId } = this.#request;
    const optional = (ids: readonly string[]) => ids.filter((id) => id !== '').map((id) => ({ id, optional: true }));
    const url = ref === '' ? remote : `${remote}#${ref}`;
    const from = bundle && `${bundle.scheme}://${bundle.ref}`;
    return {
      materials: [{ kind: 'git', url, commit: pin, bundle: from }],
      secrets: optional([tokenSecret, headerSecret]),
      ssh: optional([agentId]),
    };
  }

  async describe(options: DescribeOptions, context: JobContext): Promise<SourceDescription> {
    const resolved = await this.#resolve(context);
    const { ref, checksum } = resolved;
    const wantsObjects = options.gitObjects === true;
    const { signature } = this.#request;
    const isLook = !wantsObjects && signature === undefined;
    const objects = isLook ? undefined : await this.#objects(context, resolved);
    if (objects !== undefined && signature !== undefined) await verifySignature(objects, signature);
    if (objects === undefined) {
      return { git: { checksum, ref, commitChecksum: this.#request.keepGitDir ? '' : resolved.commit } };
    }
    return {
      git: {
        checksum,
        ref,
        commitChecksum: objects.tag === undefined ? '' : objects.commitChecksum,
        ...(wantsObjects ? { commitObject: objects.commit, tagObject: objects.tag?.object } : {}),
      },
    };
  }

  async snapshot(context: JobContext): Promise<ImmutableRef> {
    const resolved = this.#resolved ?? (await this.#resolve(context));
    const { accessor, snapshots } = this.#world;
    const key = `${gitCacheKey(this.#request, resolved)}:${this.#request.subdir}`;
    const index = `${SNAPSHOT_NOTE}::${key}`;
    return snapshots.run(
      key,
      async () => {
        for (const { id } of await accessor.search(index)) {
          try {
            return await accessor.get(id);
          } catch (error) {
            // Pruned since.
            if (!isNotFound(error)) throw error;
          }
        }
        const made = await this.#checkout(context, resolved);
        try {
          await made.metadata.set(SNAPSHOT_NOTE, key, index);
        } catch (error) {
          await made.release();
          throw error;
        }
        return made;
      },
      context.signal,
    );
  }

  #checkout(context: JobContext, resolved: ResolvedRef): Promise<ImmutableRef> {
    const { accessor } = this.#world;
    const oldFileModes = compatibilityOf(context) === OLD_FILE_MODES;
    return this.#withRepository(context, resolved, (repository) =>
      this.#request.checkoutBundle
        ? checkoutBundle(accessor, repository, this.#request)
        : checkoutTree(accessor, repository, this.#request, { oldFileModes }, context.signal),
    );
  }

  #objects(context: JobContext, resolved: ResolvedRef): Promise<GitObjects> {
    return this.#withRepository(context, resolved, ({ git }) => readObjects(git, resolved));
  }

  #withRepository<T>(
    context: JobContext,
    resolved: ResolvedRef,
    work: (repository: Awaited<ReturnType<typeof fetchRepository>>) => Promise<T>,
  ): Promise<T> {
    return withAccess(this.#world, this.#request, context, async (git) => {
      await using staged = new AsyncDisposableStack();
      const stage = async (): Promise<string> => {
        const bundle = await this.#stage(git, context);
        staged.defer(() => bundle.release());
        return bundle.url;
      };
      const instead = this.#request.bundle === undefined ? undefined : stage;
      const repository = await fetchRepository(
        this.#world.shared,
        git,
        { request: this.#request, resolved, instead },
        context.signal,
      );
      try {
        return await work(repository);
      } finally {
        await repository.release();
      }
    });
  }

  #stage(git: Git, context: JobContext): Promise<StagedBundle> {
    const { bundle, checksum } = this.#request;
    if (bundle === undefined) throw internal('no bundle to stage');
    return stageBundle(git, bundle, checksum, (location) => openBundle(this.#world, location, askerOf(context)));
  }

  async #resolve(context: JobContext): Promise<ResolvedRef> {
    const { bundle } = this.#request;
    this.#resolved =
      pinned(this.#request) ?? (await (bundle === undefined ? this.#ask(context) : this.#unpack(context)));
    return this.#resolved;
  }

  /** The bundle is read once: what is wanted of it goes into the shared repository as soon as its ref is known. */
  #unpack(context: JobContext): Promise<ResolvedRef> {
    const { signal } = context;
    return withAccess(this.#world, this.#request, context, async (git) => {
      const bundle = await this.#stage(git, context);
      try {
        const resolved = await resolveRemoteRef(git, bundle.url, this.#request.ref);
        this.#check(resolved);
        const target = { request: this.#request, resolved, instead: async () => bundle.url };
        await (await fetchRepository(this.#world.shared, git, target, signal)).release();
        return resolved;
      } finally {
        await bundle.release();
      }
    });
  }

  #matches({ checksum, commit }: ResolvedRef): boolean {
    return checksum.startsWith(this.#request.checksum) || commit.startsWith(this.#request.checksum);
  }

  #check(resolved: ResolvedRef): void {
    if (this.#matches(resolved)) return;
    const { checksum, commit } = resolved;
    throw checksumMismatch(this.#request.checksum, commit === '' ? checksum : `${checksum} or ${commit}`);
  }

  /** A ref is looked up once a build, whoever asks; another checksum is a reason to look again. */
  async #ask(context: JobContext): Promise<ResolvedRef> {
    const { remote, ref } = this.#request;
    let isFresh = false;
    const ask = (): Promise<ResolvedRef> => {
      isFresh = true;
      return withAccess(this.#world, this.#request, context, (git) => resolveRemoteRef(git, remote, ref));
    };
    let resolved = await context.once(`git-resolve:${remote}#${ref}`, ask);
    if (!isFresh && !this.#matches(resolved)) resolved = await ask();
    this.#check(resolved);
    return resolved;
  }
}

/** What needs no asking: the commit was said. */
function pinned({ ref, checksum, fetchByCommit, bundle }: GitRequest): ResolvedRef | undefined {
  if (checksum !== '' && !/^[a-fA-F0-9]+$/.test(checksum)) {
    throw new BuildError(Code.Unknown, `invalid checksum ${checksum} for Git URL, expected hex commit hash`);
  }
  if (isCommitId(ref)) {
    if (!ref.startsWith(checksum)) throw checksumMismatch(checksum, ref);
    return { ref, checksum: ref, commit: '' };
  }
  if (bundle !== undefined) return ref === '' ? { ref: checksum, checksum, commit: '' } : undefined;
  if (!fetchByCommit) return undefined;
  if (checksum === '') throw invalidArgument('fetch-by-commit requires a checksum or a commit SHA ref');
  if (!isCommitId(checksum)) {
    throw invalidArgument(`fetch-by-commit requires a full commit SHA checksum, got ${JSON.stringify(checksum)}`);
  }
  // Under the name that the remote would give it; a short one is a branch.
  const name = ref === '' ? checksum : ref.startsWith('refs/') ? ref : `refs/heads/${ref}`;
  return { ref: name, checksum, commit: '' };
}
