import { randomBytes } from 'node:crypto';
import { linkSync, renameSync, rmSync } from 'node:fs';
import type { BigIntStats } from 'node:fs';
import { fsPath } from '../../archive/index.ts';
import type { ByteString } from '../../archive/index.ts';
import { listXattrs } from '../../host/index.ts';
import { isOverlayXattr } from '../attributes.ts';
import { joinPath, parentOf } from '../path-order.ts';
import { copyFile } from './copy-file.ts';
import { agrees, giveAttributes } from './given-attributes.ts';
import type { GivenAttributes } from './given-attributes.ts';

/** What link(2) answers where a copy does it: another file system, too many names, a file of someone else. */
const CANNOT_LINK = new Set(['EXDEV', 'EMLINK', 'EPERM']);

export interface PlacerOptions extends GivenAttributes {
  /** Files, by inode, that the target has a name of already. */
  readonly taken: Iterable<bigint>;
  readonly check: () => void;
}

export interface PlacedFile {
  /** Where it really is: no mount's view of it. */
  readonly real: ByteString;
  readonly stats: BigIntStats;
  /** It may get another name. */
  readonly linkable: boolean;
}

/**
 * Puts files of one tree into another that nobody has mounted: by a second name where that makes no difference, else as copies.
 * Files with several names in the source have them in the target too.
 */
export class FilePlacer {
  readonly #options: PlacerOptions;
  readonly #taken: Set<bigint>;
  /** Where a file with several names went first. */
  readonly #firsts = new Map<string, ByteString>();
  readonly #linked: bigint[] = [];

  constructor(options: PlacerOptions) {
    this.#options = options;
    this.#taken = new Set(options.taken);
  }

  /** Inodes that have a name in the target now. */
  get linked(): readonly bigint[] {
    return this.#linked;
  }

  place(file: PlacedFile, target: ByteString): void {
    this.#options.check();
    const { stats } = file;
    const inode = stats.nlink > 1n ? `${stats.dev}:${stats.ino}` : undefined;
    const first = inode === undefined ? undefined : this.#firsts.get(inode);
    this.#at(target, (path) => {
      if (first !== undefined) linkSync(fsPath(first), fsPath(path));
      else if (!this.#link(file, path)) {
        copyFile(file.real, path, this.#options.check);
        giveAttributes(file.real, path, stats, this.#options);
      }
    });
    if (inode !== undefined && first === undefined) this.#firsts.set(inode, target);
  }

  /** What is in the way can only be an overlay's mark of a deletion: it is replaced in one step. */
  #at(target: ByteString, make: (path: ByteString) => void): void {
    try {
      make(target);
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const beside = joinPath(parentOf(target), `.tmp.${randomBytes(8).toString('hex')}`);
    try {
      make(beside);
      renameSync(fsPath(beside), fsPath(target));
    } catch (error) {
      rmSync(fsPath(beside), { force: true });
      throw error;
    }
  }

  #link({ real, stats, linkable }: PlacedFile, path: ByteString): boolean {
    if (!linkable || this.#taken.has(stats.ino) || !agrees(stats, this.#options)) return false;
    // What an overlay has noted on a file is true in its layer only.
    if (listXattrs(fsPath(real)).some(isOverlayXattr)) return false;
    try {
      linkSync(fsPath(real), fsPath(path));
    } catch (error) {
      if (CANNOT_LINK.has((error as NodeJS.ErrnoException).code ?? '')) return false;
      throw error;
    }
    this.#linked.push(stats.ino);
    return true;
  }
}
