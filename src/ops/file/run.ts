import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ArchiveLimits } from '../../archive/index.ts';
import { logger, ThreadPool, toBuildError, workerEntry } from '../../base/index.ts';
import type { BuildError } from '../../base/index.ts';
import type { ChownOpt } from '../../proto/ops.pb.ts';
import type { Remains } from '../../solver/index.ts';
import type { JobContext } from '../../solver/types.ts';
import { mountLocally } from '../../storage/index.ts';
import { unpackArchive } from '../../storage/apply/index.ts';
import type { CacheAccessor, ImageSystem, ImmutableRef, MutableRef, CopyDirs } from '../../storage/types.ts';
import type { PlaceArgs } from './place-job.ts';
import type { Acted, ActionArgs, UnpackCandidate } from './action-job.ts';
import type { Owner } from '../../files/index.ts';
import type { Place, Plan, PlannedAction } from './plan.ts';

const pool = new ThreadPool(workerEntry(import.meta.url, 'file-action.worker'));

/** What an action left: a tree that goes on being changed by the one action that uses it, or one that stays as it is. */
type Tree =
  | { readonly kind: 'mutable'; readonly ref: MutableRef }
  | { readonly kind: 'fixed'; readonly ref: ImmutableRef };

type Mounted = Awaited<ReturnType<typeof mountLocally>>;

/** What a copy from nothing reads. */
async function emptyFolder(owner: AsyncDisposableStack): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'buildkit-scratch-'));
  owner.defer(() => rm(folder, { recursive: true }));
  await chmod(folder, 0o755);
  return folder;
}

/** undefined where it cannot be had: the failure that is being reported matters more. */
async function fixed(ref: MutableRef): Promise<ImmutableRef | undefined> {
  try {
    return await ref.commit();
  } catch (error) {
    logger.warn('what a failed file op made is lost', { ref: ref.id, error });
    await ref.release();
    return undefined;
  }
}

/** One run of a file op. Trees made on the way are released when it ends; the outputs are the caller's. */
export class ActionRun {
  readonly #accessor: CacheAccessor;
  readonly #plan: Plan;
  readonly #inputs: ReadonlyArray<ImmutableRef | undefined>;
  readonly #name: string;
  readonly #context: JobContext;
  readonly #os: string;
  readonly #archiveLimits: Partial<ArchiveLimits> | undefined;
  readonly #keep: (index: number, made: readonly (ImmutableRef | undefined)[]) => Remains;
  readonly #trees = new Map<number, Tree>();

  constructor(
    accessor: CacheAccessor,
    plan: Plan,
    inputs: ReadonlyArray<ImmutableRef | undefined>,
    options: {
      readonly name: string;
      readonly context: JobContext;
      /** The system that the files are for. */
      readonly os: string;
      readonly archiveLimits?: Partial<ArchiveLimits>;
      readonly keep: (index: number, made: readonly (ImmutableRef | undefined)[]) => Remains;
    },
  ) {
    this.#accessor = accessor;
    this.#plan = plan;
    this.#inputs = inputs;
    this.#name = options.name;
    this.#context = options.context;
    this.#os = options.os;
    this.#archiveLimits = options.archiveLimits;
    this.#keep = options.keep;
  }

  async outputs(): Promise<ImmutableRef[]> {
    const outputs: ImmutableRef[] = [];
    try {
      for (const index of this.#plan.outputs) {
        const tree = await this.#tree(index);
        // An output is shared, and shared trees are fixed.
        if (tree.kind !== 'fixed') throw new Error('output of a file op was not committed');
        outputs.push(tree.ref.fork());
      }
      return outputs;
    } catch (error) {
      await Promise.all(outputs.map((ref) => ref.release()));
      throw error;
    } finally {
      for (const tree of this.#trees.values()) await tree.ref.release();
      this.#trees.clear();
    }
  }

  async #tree(index: number): Promise<Tree> {
    const known = this.#trees.get(index);
    if (known !== undefined) return known;
    const planned = this.#plan.actions[index] as PlannedAction;
    const { secondary, user, group } = planned;
    // Everything that is read is made before the tree that is changed is opened.
    for (const place of [secondary, user, group]) if (place?.kind === 'action') await this.#tree(place.index);
    const target = await this.#target(planned.input);
    try {
      await this.#act(planned, target);
    } catch (error) {
      throw await this.#postMortem(error, planned, target);
    }
    const tree: Tree = planned.isShared
      ? { kind: 'fixed', ref: await target.commit() }
      : { kind: 'mutable', ref: target };
    this.#trees.set(index, tree);
    return tree;
  }

  /** `keep` gets the tree that the action was changing and the one that it read. */
  async #postMortem(error: unknown, { index, secondary }: PlannedAction, target: MutableRef): Promise<BuildError> {
    if (this.#context.signal.aborted) {
      await target.release();
      return toBuildError(error);
    }
    const made: (ImmutableRef | undefined)[] = this.#plan.actions.map(() => undefined);
    made[index] = await fixed(target);
    const read = secondary?.kind === 'action' ? this.#trees.get(secondary.index) : undefined;
    if (read !== undefined && secondary !== undefined) {
      this.#trees.delete(secondary.index);
      made[secondary.index] = read.kind === 'fixed' ? read.ref : await fixed(read.ref);
    }
    return toBuildError(error).withAttachment(this.#keep(index, made));
  }

  /** The tree that an action changes: a new one on top of its input, or the one that only it goes on with. */
  async #target(input: Place | undefined): Promise<MutableRef> {
    const description = this.#name === '' ? 'fileop target' : this.#name;
    if (input?.kind !== 'action') {
      return this.#accessor.create(input === undefined ? undefined : this.#inputs[input.index], {
        description,
        system: this.#os === 'windows' ? 'windows' : 'linux',
      });
    }
    const tree = await this.#tree(input.index);
    if (tree.kind === 'fixed') return this.#accessor.create(tree.ref, { description });
    this.#trees.delete(input.index);
    return tree.ref;
  }

  async #act(planned: PlannedAction, target: MutableRef): Promise<void> {
    await using mounts = new AsyncDisposableStack();
    const use = (mounted: Mounted): string => {
      mounts.defer(() => mounted.release());
      return mounted.dir;
    };
    /** undefined: nothing there, a tree without files. */
    const show = async (place: Place | undefined): Promise<string | undefined> => {
      if (place === undefined) return undefined;
      if (place.kind === 'input') {
        const ref = this.#inputs[place.index];
        return ref === undefined ? undefined : use(await mountLocally(ref, { readonly: true }));
      }
      const { ref } = await this.#tree(place.index);
      return use(await mountLocally(ref, { readonly: true }));
    };
    const { action } = planned;
    const isCopy = action.$case === 'copy';
    const owner = action.$case === 'rm' ? undefined : action.value.owner;
    const read = {
      action,
      owner: owner as ChownOpt | undefined,
      source: isCopy ? ((await show(planned.secondary)) ?? (await emptyFolder(mounts))) : undefined,
      userRoot: await show(planned.user),
      groupRoot: await show(planned.group),
      // Steps on something do not say it: it is what that is.
      os: target.system ?? this.#os,
      foldsTarget: target.system === 'windows',
      foldsSource: (await this.#systemOf(planned.secondary)) === 'windows',
    };
    const { signal } = this.#context;
    const dirs = await this.#dirs(planned, target);
    const mounted = await mountLocally(target, { readonly: false });
    let later: Uint8Array | undefined;
    try {
      later = await this.#change({ ...read, target: mounted.dir }, dirs !== undefined);
    } finally {
      await mounted.release();
    }
    if (later === undefined || dirs === undefined) return;
    const files: PlaceArgs = { ...read, files: later, dirs };
    await pool.call('place', files, { signal, transfer: [later.buffer as ArrayBuffer] });
  }

  /** Of a tree that is shown already. */
  async #systemOf(place: Place | undefined): Promise<ImageSystem | undefined> {
    if (place === undefined) return undefined;
    if (place.kind === 'input') return this.#inputs[place.index]?.system;
    return (await this.#tree(place.index)).ref.system;
  }

  /** Where the regular files of a copy can go without a mount; undefined when they cannot. */
  async #dirs(planned: PlannedAction, target: MutableRef): Promise<CopyDirs | undefined> {
    const { action, secondary } = planned;
    if (action.$case !== 'copy' || secondary === undefined) return undefined;
    const source = secondary.kind === 'input' ? this.#inputs[secondary.index] : this.#fixed(secondary.index);
    return source === undefined ? undefined : await this.#accessor.copyDirs(source, target);
  }

  #fixed(index: number): ImmutableRef | undefined {
    const tree = this.#trees.get(index);
    return tree?.kind === 'fixed' ? tree.ref : undefined;
  }

  /** Gives what a copy has left for later. */
  async #change(args: ActionArgs, filesLater: boolean): Promise<Uint8Array | undefined> {
    const { signal } = this.#context;
    const { action } = args;
    if (action.$case !== 'copy' || !action.value.attemptUnpackDockerCompatibility) {
      return (await pool.call<Acted>('act', { ...args, filesLater }, { signal })).later;
    }
    const found = await pool.call<{ sources: UnpackCandidate[]; owner: Owner | undefined }>('candidates', args, {
      signal,
    });
    const isOnly = found.sources.length === 1;
    let later: Uint8Array | undefined;
    for (const candidate of found.sources) {
      if (candidate.isArchive && args.source !== undefined) {
        const request = {
          sourceRoot: args.source,
          source: candidate.path,
          targetRoot: args.target,
          target: action.value.dest,
          foldsSource: args.foldsSource,
          foldsTarget: args.foldsTarget,
          ...(found.owner === undefined ? {} : { owner: found.owner }),
          ...(this.#archiveLimits === undefined ? {} : { limits: this.#archiveLimits }),
        };
        await pool.call('prepareUnpack', args, { signal });
        if (await unpackArchive(request, { signal })) continue;
      }
      const one = { ...args, only: candidate.bytes, filesLater: filesLater && isOnly };
      ({ later } = await pool.call<Acted>('copyOne', one, { signal }));
    }
    return later;
  }
}
