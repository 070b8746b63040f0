import { randomBytes } from 'node:crypto';
import { linkSync, renameSync, rmSync } from 'node:fs';
import type { BigIntStats } from 'node:fs';
import { fsPath } from '../../archive/index.ts';
import type { ByteString } from '../../archive/index.ts';
import { joinPath, parentOf } from '../path-order.ts';
import { copyFile } from './copy-file.ts';
import { giveAttributes } from './given-attributes.ts';
import type { GivenAttributes } from './given-attributes.ts';

export interface PlacerOptions extends GivenAttributes {
  readonly check: () => void;
}

export interface PlacedFile {
  /** Where it really is: no mount's view of it. */
  readonly real: ByteString;
  readonly stats: BigIntStats;
}

/**
 * Copies files of one tree into another that nobody has mounted. Files with several names in the source have them in the target
 * too, and no file gets a name in both trees: a step would see that it has more names than one, and gzip leaves such files alone.
 */
export class FilePlacer {
  readonly #options: PlacerOptions;
  /** Where a file with several names went first. */
  readonly #firsts = new Map<string, ByteString>();

  constructor(options: PlacerOptions) {
    this.#options = options;
  }

  place(file: PlacedFile, target: ByteString): void {
    this.#options.check();
    const { stats } = file;
    const inode = stats.nlink > 1n ? `${stats.dev}:${stats.ino}` : undefined;
    const first = inode === undefined ? undefined : this.#firsts.get(inode);
    this.#at(target, (path) => {
      if (first !== undefined) linkSync(fsPath(first), fsPath(path));
      else {
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
}
