import { jsonDetail, ThreadPool, toBuildError, workerEntry } from '../../base/index.ts';
import type { ChownOpt } from '../../proto/ops.pb.ts';
import type { JobContext } from '../../solver/types.ts';
import { mountLocally } from '../../storage/index.ts';
import { unpackArchive } from '../../storage/apply/index.ts';
import type { CacheAccessor, ImmutableRef, MutableRef } from '../../storage/types.ts';
import type { ActionArgs, UnpackCandidate } from './action-job.ts';
import type { Owner } from '../../files/index.ts';
import type { Place, Plan, PlannedAction } from './plan.ts';

const pool = new ThreadPool(workerEntry(import.meta.url, 'file-action.worker'));

/** What an action left: a tree that goes on being changed by the one action that uses it, or one that stays as it is. */
type Tree =
  | { readonly kind: 'mutable'; readonly ref: MutableRef }
  | { readonly kind: 'fixed'; readonly ref: ImmutableRef };

type Mounted = Awaited<ReturnType<typeof mountLocally>>;

/** One run of a file op. Trees made on the way are released when it ends; the outputs are the caller's. */
export class ActionRun {
  readonly #accessor: CacheAccessor;
  readonly #plan: Plan;
  readonly #inputs: ReadonlyArray<ImmutableRef | undefined>;
  readonly #name: string;
  readonly #context: JobContext;
  readonly #trees = new Map<number, Tree>();

  constructor(
    accessor: CacheAccessor,
    plan: Plan,
    inputs: ReadonlyArray<ImmutableRef | undefined>,
    options: { readonly name: string; readonly context: JobContext },
  ) {
    this.#accessor = accessor;
    this.#plan = plan;
    this.#inputs = inputs;
    this.#name = options.name;
    this.#context = options.context;
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
      await target.release();
      const file = index === 0 ? {} : { index: String(index) };
      throw toBuildError(error).withDetail(jsonDetail('errdefs.Solve', { file }));
    }
    const tree: Tree = planned.isShared
      ? { kind: 'fixed', ref: await target.commit() }
      : { kind: 'mutable', ref: target };
    this.#trees.set(index, tree);
    return tree;
  }

  /** The tree that an action changes: a new one on top of its input, or the one that only it goes on with. */
  async #target(input: Place | undefined): Promise<MutableRef> {
    const description = this.#name === '' ? 'fileop target' : this.#name;
    if (input?.kind !== 'action') {
      return this.#accessor.create(input === undefined ? undefined : this.#inputs[input.index], { description });
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
    const read = async (place: Place | undefined): Promise<string | undefined> => {
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
    const base = {
      source: isCopy ? await read(planned.secondary) : undefined,
      userRoot: await read(planned.user),
      groupRoot: await read(planned.group),
      target: use(await mountLocally(target, { readonly: false })),
    };
    const owner = action.$case === 'rm' ? undefined : action.value.owner;
    const args: ActionArgs = { ...base, action, owner: owner as ChownOpt | undefined };
    const { signal } = this.#context;
    if (!isCopy || !action.value.attemptUnpackDockerCompatibility) {
      await pool.call('act', args, { signal });
      return;
    }
    const found = await pool.call<{ sources: UnpackCandidate[]; owner: Owner | undefined }>('candidates', args, {
      signal,
    });
    for (const candidate of found.sources) {
      if (candidate.isArchive && base.source !== undefined) {
        const request = {
          sourceRoot: base.source,
          source: candidate.path,
          targetRoot: base.target,
          target: action.value.dest,
          ...(found.owner === undefined ? {} : { owner: found.owner }),
        };
        await pool.call('prepareUnpack', args, { signal });
        if (await unpackArchive(request, { signal })) continue;
      }
      await pool.call('copyOne', { ...args, only: candidate.bytes }, { signal });
    }
  }
}
