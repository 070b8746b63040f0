import { existsSync, mkdirSync, readdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { internal, KeyedMutex, logger, randomId } from '../../base/index.ts';
import type { StorageKernel } from '../kernel.ts';
import type { Mount, MountSet } from '../types.ts';

/** mount(2) takes one page of options; a part of it is left for whoever adds to them. */
const LONGEST_OPTIONS = 3584;

interface SharedMount {
  readonly directory: string;
  users: number;
}

/** Mounts given to others, and those that this folder makes itself below `<root>/mounts`. */
export class MountSets {
  readonly #root: string;
  readonly #kernel: StorageKernel;
  readonly #live = new Set<string>();
  readonly #shared = new Map<string, SharedMount>();
  readonly #sharing = new KeyedMutex<string>();

  constructor(root: string, kernel: StorageKernel) {
    this.#root = join(root, 'mounts');
    this.#kernel = kernel;
  }

  /** What start-up does before anything is mounted: the mounts of a killed predecessor go, deepest first. */
  async removeLeftovers(): Promise<number> {
    const points = [...this.#kernel.mountPoints(this.#root)].filter((point) => point !== this.#root).reverse();
    for (const point of points) await this.#kernel.unmount(point);
    for (const name of existsSync(this.#root) ? readdirSync(this.#root) : []) {
      // Never recursively: what could not be unmounted is somebody's files.
      try {
        rmdirSync(join(this.#root, name));
      } catch (error) {
        logger.warn('leftover mount point could not be removed', { name, error });
      }
    }
    return points.length;
  }

  async #mount(mounts: readonly Mount[]): Promise<string> {
    const directory = join(this.#root, randomId());
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    try {
      await this.#kernel.mount(mounts, directory);
    } catch (error) {
      rmdirSync(directory);
      throw error;
    }
    return directory;
  }

  async #unmount(directory: string): Promise<void> {
    await this.#kernel.unmount(directory);
    if (existsSync(directory)) rmdirSync(directory);
  }

  /** Counts a set until it is released; `undo` takes what it stands on. */
  #track(mounts: readonly Mount[], what: string, undo: () => Promise<void>): MountSet {
    const name = `${what} ${randomId()}`;
    this.#live.add(name);
    return {
      mounts,
      release: async () => {
        if (!this.#live.delete(name)) throw internal(`mounts of ${what} released twice`);
        await undo();
      },
    };
  }

  /** `mounts` as they can be handed to mount(2): the lower half of an overlay with too many layers is mounted here first. */
  async give(mounts: readonly Mount[], what: string): Promise<MountSet> {
    const [mount] = mounts;
    if (mounts.length !== 1 || mount?.type !== 'overlay' || mount.options.join(',').length <= LONGEST_OPTIONS) {
      return this.#track(mounts, what, () => Promise.resolve());
    }
    const { top, made } = await this.#shorten(mount);
    return this.#track([top], what, () => this.#undo(made));
  }

  async #undo(made: readonly string[]): Promise<void> {
    for (const directory of made.toReversed()) await this.#unmount(directory);
  }

  /** Overlays of at most two levels, as the kernel stacks no more: groups of layers side by side below the top one. */
  async #shorten(mount: Mount): Promise<{ top: Mount; made: string[] }> {
    const lowers = mount.options.find((o) => o.startsWith('lowerdir='))?.slice('lowerdir='.length) ?? '';
    const others = mount.options.filter((o) => !o.startsWith('lowerdir='));
    const shared = others.filter((o) => !o.startsWith('upperdir=') && !o.startsWith('workdir=') && o !== 'ro');
    const dirs = lowers.split(/(?<!\\):/);
    const made: string[] = [];
    try {
      const groups: string[][] = [];
      let length = Infinity;
      for (const dir of dirs) {
        if (length + dir.length > LONGEST_OPTIONS - 200) {
          groups.push([]);
          length = 0;
        }
        groups.at(-1)?.push(dir);
        length += dir.length + 1;
      }
      const parts: string[] = [];
      for (const group of groups) {
        if (group.length === 1) {
          parts.push(group[0] as string);
          continue;
        }
        const options = [...shared, 'ro', `lowerdir=${group.join(':')}`];
        const directory = await this.#mount([{ type: 'overlay', source: 'overlay', options }]);
        made.push(directory);
        parts.push(directory);
      }
      if (parts.length === 1 && mount.options.includes('ro')) {
        return { top: { type: 'bind', source: parts[0] as string, options: ['ro', 'rbind'] }, made };
      }
      return { top: { ...mount, options: [...others, `lowerdir=${parts.join(':')}`] }, made };
    } catch (error) {
      await this.#undo(made);
      throw error;
    }
  }

  /**
   * A writable overlay that several users have at a time is mounted once and handed on as bind mounts: two overlays with
   * one upper directory are undefined.
   */
  async giveShared(key: string, mounts: readonly Mount[], what: string): Promise<MountSet> {
    if (mounts.length !== 1 || mounts[0]?.type !== 'overlay') return await this.give(mounts, what);
    return await this.#sharing.run(key, async () => {
      let shared = this.#shared.get(key);
      if (shared === undefined) {
        const set = await this.give(mounts, what);
        try {
          shared = { directory: await this.#mount(set.mounts), users: 0 };
        } finally {
          await set.release(); // detached parts live as long as the overlay on them
        }
        this.#shared.set(key, shared);
      }
      const { directory } = shared;
      shared.users++;
      return this.#track([{ type: 'bind', source: directory, options: ['rw', 'rbind'] }], what, () =>
        this.#sharing.run(key, async () => {
          if (--shared.users > 0) return;
          this.#shared.delete(key);
          await this.#unmount(directory);
        }),
      );
    });
  }

  /** A directory that shows those mounts, for file work. */
  async directory(set: MountSet, options: { readonly: boolean }): Promise<{ dir: string; release(): Promise<void> }> {
    const plain = plainDirectory(set.mounts, options);
    if (plain !== undefined) return { dir: plain, release: () => Promise.resolve() };
    const directory = await this.#mount(set.mounts);
    const held = this.#track([], `directory ${directory}`, () => this.#unmount(directory));
    return { dir: directory, release: () => held.release() };
  }

  list(): string[] {
    return [...this.#live];
  }
}

/** The one directory that those mounts show; undefined when it takes a mount to see them. */
export function plainDirectory(mounts: readonly Mount[], options: { readonly: boolean }): string | undefined {
  const [mount] = mounts;
  if (mounts.length !== 1 || mount === undefined || !/^r?bind$/.test(mount.type)) return undefined;
  return options.readonly || !mount.options.includes('ro') ? mount.source : undefined;
}
