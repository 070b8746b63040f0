import { closeSync, constants, openSync } from 'node:fs';
import { fromByteString, fsPath, toByteString } from '../archive/index.ts';
import type { ByteString } from '../archive/index.ts';
import { baseOf, parentOf } from './path-order.ts';

/** Linux' O_PATH, which node:fs does not name: a place in the tree, without the right to read it. */
const O_PATH = 0o10000000;
const OPEN_FOLDER = O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW;
const MAX_OPEN = 64;

/**
 * Paths below a folder that cannot be led astray: every component is opened below the one before without following links, and
 * what is given out are names behind such a handle. Whatever is swapped for a link meanwhile, nothing outside is reached.
 */
export class ConfinedRoot {
  readonly #root: number;
  /** In order of use. */
  readonly #folders = new Map<ByteString, number>();

  constructor(root: string) {
    this.#root = openSync(fsPath(toByteString(root)), O_PATH | constants.O_DIRECTORY);
  }

  /** Closes what was not used lately; paths that were given out before are void. */
  trim(): void {
    for (const [folder, fd] of this.#folders) {
      if (this.#folders.size <= MAX_OPEN) return;
      this.#folders.delete(folder);
      closeSync(fd);
    }
  }

  /** A path for system calls that do not follow the last component; valid until {@link trim} or {@link forget}. */
  entry(path: ByteString): string | Buffer {
    return fsPath(this.entryBytes(path));
  }

  entryBytes(path: ByteString): ByteString {
    return `/proc/self/fd/${this.#folder(parentOf(path))}/${baseOf(path)}`;
  }

  #folder(path: ByteString): number {
    if (path === '') return this.#root;
    const known = this.#folders.get(path);
    if (known !== undefined) {
      this.#folders.delete(path);
      this.#folders.set(path, known);
      return known;
    }
    let fd: number;
    try {
      fd = openSync(this.entry(path), OPEN_FOLDER);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      throw Object.assign(new Error(`open ${fromByteString(path)}: ${code}`), { code });
    }
    this.#folders.set(path, fd);
    return fd;
  }

  /** The folder at `path` is going away: neither it nor what is below it is known any more. */
  forget(path: ByteString): void {
    for (const [folder, fd] of this.#folders) {
      if (folder !== path && !folder.startsWith(`${path}/`)) continue;
      this.#folders.delete(folder);
      closeSync(fd);
    }
  }

  close(): void {
    for (const fd of this.#folders.values()) closeSync(fd);
    this.#folders.clear();
    closeSync(this.#root);
  }
}
