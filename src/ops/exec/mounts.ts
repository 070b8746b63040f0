/** The mounts of a step, opened: which refs it sees, which it may write, which become its outputs. */
import { posix } from 'node:path';
import { BuildError, Code, invalidArgument, logger } from '../../base/index.ts';
import type { ExecMount } from '../../executor/types.ts';
import { MountType } from '../../proto/ops.pb.ts';
import type { Mount, TmpfsOpt } from '../../proto/ops.pb.ts';
import type { SessionManager } from '../../session/types.ts';
import type { CacheAccessor, ImmutableRef, Mountable, MutableRef } from '../../storage/types.ts';
import { cacheMountKey, cacheMountsOf } from './cache-mounts.ts';
import { quote } from './quote.ts';
import type { StepContext } from './secrets.ts';
import { secretMountable } from './secrets.ts';
import { sshMountable } from './ssh-mount.ts';

const NONE = -1n;

/** What becomes a result: a tree that the step wrote, or an input as it was. Released by whoever does not pass it on. */
export type Output =
  | { readonly kind: 'written'; readonly mount: number; readonly ref: MutableRef }
  | { readonly kind: 'input'; readonly mount: number; readonly ref: ImmutableRef };

export interface MountsRequest {
  readonly accessor: CacheAccessor;
  readonly sessions: SessionManager;
  readonly context: StepContext;
  readonly mounts: readonly Mount[];
  readonly inputs: ReadonlyArray<ImmutableRef | undefined>;
  readonly cwd: string;
  /** `exec <args>`, for descriptions. */
  readonly name: string;
}

function tmpfsMountable(option: TmpfsOpt | undefined): Mountable {
  return {
    async mounts({ readonly }) {
      const size = option !== undefined && option.size > 0n ? [`size=${option.size}`] : [];
      const options = ['nosuid', 'nodev', ...(readonly ? ['ro'] : []), ...size];
      return { mounts: [{ type: 'tmpfs', source: 'tmpfs', options }], release: async () => {} };
    },
  };
}

/** All or nothing: when `open` throws, nothing stays held; after it, `release` gives back all but the outputs that were taken. */
export class StepMounts {
  readonly #request: MountsRequest;
  readonly #held = new AsyncDisposableStack();
  readonly #outputs: Output[] = [];
  /** Written by the step, and kept only where it fails. */
  readonly #scratch: { readonly mount: number; readonly ref: MutableRef }[] = [];
  readonly #mounts: ExecMount[] = [];
  readonly #sources = new Map<number, Mountable>();
  readonly #cacheDirs = new Map<string, MutableRef>();
  #root: ExecMount | undefined;

  private constructor(request: MountsRequest) {
    this.#request = request;
  }

  static async open(request: MountsRequest): Promise<StepMounts> {
    const step = new StepMounts(request);
    try {
      for (const [i, mount] of request.mounts.entries()) await step.#add(mount, i);
      if (step.#root === undefined) throw invalidArgument('invalid exec op with no rootfs');
    } catch (error) {
      await step.release();
      throw error;
    }
    return step;
  }

  get root(): ExecMount {
    return this.#root as ExecMount;
  }

  /** Folders before what is in them. */
  get mounts(): readonly ExecMount[] {
    return this.#mounts.toSorted((a, b) => Buffer.compare(Buffer.from(a.dest), Buffer.from(b.dest)));
  }

  /** What that mount shows; undefined where it was left out. It stays the step's. */
  source(mount: number): Mountable | undefined {
    return this.#sources.get(mount);
  }

  /** They are the caller's from now on. */
  takeOutputs(): Output[] {
    return this.#outputs.splice(0);
  }

  /** What the step has written so far, fixed, by the number of its mount. It is the caller's; the step must have ended. */
  async takeWritten(): Promise<Map<number, ImmutableRef>> {
    const written = new Map<number, ImmutableRef>();
    for (const output of this.takeOutputs()) {
      if (output.kind === 'written') this.#scratch.push(output);
      else await output.ref.release();
    }
    for (const { mount, ref } of this.#scratch.splice(0)) {
      try {
        written.set(mount, await ref.commit());
      } catch (error) {
        logger.warn('what a failed step wrote is lost', { step: this.#request.name, mount, error });
        await ref.release();
      }
    }
    return written;
  }

  async release(): Promise<void> {
    for (const { ref } of this.#scratch.splice(0)) this.#held.defer(() => ref.release());
    for (const { ref } of this.takeOutputs()) this.#held.defer(() => ref.release());
    try {
      await this.#held.disposeAsync();
    } catch (error) {
      // What the step came to matters more.
      logger.warn('mounts of a step were not released', { step: this.#request.name, error });
    }
  }

  async #add(mount: Mount, index: number): Promise<void> {
    const isRoot = mount.dest === '/';
    if (isRoot && mount.mountType !== MountType.BIND) {
      throw invalidArgument(`invalid mount type ${mountTypeName(mount.mountType)} for ${mount.dest}`);
    }
    const source = await this.#open(mount, index, this.#inputOf(mount));
    if (source === 'left out') return;
    if (source === undefined) throw new BuildError(Code.Unknown, `mount ${mount.dest} has no input`);
    this.#sources.set(index, source);
    if (isRoot) {
      this.#root = { source, selector: '', dest: '/', readonly: mount.readonly };
      return;
    }
    const dest = posix.isAbsolute(mount.dest) ? mount.dest : posix.join('/', this.#request.cwd, mount.dest);
    this.#mounts.push({ source, selector: mount.selector, dest, readonly: mount.readonly });
  }

  #inputOf({ input }: Mount): ImmutableRef | undefined {
    if (input === NONE) return undefined;
    const { inputs } = this.#request;
    if (input < 0n || input >= BigInt(inputs.length)) throw invalidArgument(`missing input ${input}`);
    return inputs[Number(input)];
  }

  async #open(
    mount: Mount,
    index: number,
    input: ImmutableRef | undefined,
  ): Promise<Mountable | 'left out' | undefined> {
    const { sessions, context } = this.#request;
    switch (mount.mountType) {
      case MountType.BIND:
        return this.#bind(mount, index, input);
      case MountType.CACHE:
        return this.#cache(mount, index, input);
      case MountType.TMPFS:
        return tmpfsMountable(mount.TmpfsOpt);
      case MountType.SECRET:
        return (await secretMountable(sessions, mount.secretOpt, context)) ?? 'left out';
      case MountType.SSH:
        return (await sshMountable(sessions, mount.SSHOpt, context)) ?? 'left out';
      default:
        throw new BuildError(Code.Unknown, `mount type ${mountTypeName(mount.mountType)} not implemented`);
    }
  }

  async #bind(mount: Mount, index: number, input: ImmutableRef | undefined): Promise<Mountable | undefined> {
    const isRoot = mount.dest === '/';
    const hasOutput = mount.output !== NONE;
    if (mount.readonly && input !== undefined && !isRoot) {
      if (hasOutput) this.#outputs.push({ kind: 'input', mount: index, ref: input.fork() });
      return input;
    }
    // The root is never an input itself: the runtime makes mount points and files in it.
    const ref = await this.#request.accessor.create(input, {
      description: `mount ${mount.dest} from ${this.#request.name}`,
    });
    if (hasOutput) this.#outputs.push({ kind: 'written', mount: index, ref });
    else this.#scratch.push({ mount: index, ref });
    return ref;
  }

  async #cache(mount: Mount, index: number, base: ImmutableRef | undefined): Promise<Mountable> {
    if (mount.cacheOpt === undefined) throw invalidArgument('missing cache mount options');
    const { accessor, context, name } = this.#request;
    const { ID: id, sharing } = mount.cacheOpt;
    const key = cacheMountKey({ id, base });
    let ref = this.#cacheDirs.get(key);
    if (ref === undefined) {
      const suffix = id === mount.dest ? '' : ` with id ${quote(id)}`;
      const description = `cached mount ${mount.dest} from ${name}${suffix}`;
      const taken = await cacheMountsOf(accessor).acquire({ id, sharing, base, description }, context.signal);
      this.#held.defer(() => taken.release());
      ref = taken.ref;
      this.#cacheDirs.set(key, ref);
    }
    if (mount.output !== NONE && base !== undefined)
      this.#outputs.push({ kind: 'input', mount: index, ref: base.fork() });
    return ref;
  }
}

/** As Go prints an enum's value. */
function mountTypeName(type: MountType): string {
  return Object.entries(MountType).find(([, value]) => value === type)?.[0] ?? String(type);
}
