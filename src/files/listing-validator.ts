import { fromByteString } from '../archive/index.ts';
import type { ByteString } from '../archive/index.ts';
import { invalidArgument } from '../base/index.ts';
import type { Stat } from '../proto/fsutil_stat.pb.ts';
import { isDir, isSymlink } from './go-mode.ts';
import { baseOf, joinPath, parentOf } from './path-order.ts';
import { GoMode } from './types.ts';

/** Linux' PATH_MAX: nothing longer could be made. */
const MAX_PATH = 4095;
/** More than a tree can sensibly have; what is kept for each entry is memory that the peer sizes. */
const MAX_ENTRIES = 8_000_000;
const MAX_LINK = 4095;

interface Folder {
  readonly path: ByteString;
  last: ByteString;
}

function quoted(path: ByteString): string {
  return JSON.stringify(fromByteString(path));
}

/** Checks that a listing is one: clean relative paths in order, each below a folder that was listed, links to what was listed. */
export class ListingValidator {
  readonly #folders: Folder[] = [{ path: '', last: '' }];
  readonly #files = new Set<ByteString>();
  #count = 0;

  /** Throws InvalidArgument. */
  check(stat: Stat): void {
    const { path } = stat;
    if (++this.#count > MAX_ENTRIES) throw invalidArgument(`more than ${MAX_ENTRIES} files`);
    if (path.length > MAX_PATH) throw invalidArgument(`path too long: ${quoted(path.slice(0, 64))}…`);
    if (path.startsWith('/')) throw invalidArgument(`absolute path ${fromByteString(path)}: invalid argument`);
    if (path === '..' || path.startsWith('../'))
      throw invalidArgument(`escape check ${fromByteString(path)}: invalid argument`);
    if (path === '' || path.includes('\0') || path.split('/').some((c) => c === '' || c === '.' || c === '..')) {
      throw invalidArgument(`unclean path ${fromByteString(path)}: invalid argument`);
    }
    const parent = parentOf(path);
    const name = baseOf(path);
    const before = this.#folders.at(-1) as Folder;
    while (this.#folders.length > 1 && (this.#folders.at(-1) as Folder).path !== parent) this.#folders.pop();
    const folder = this.#folders.at(-1) as Folder;
    if (folder.path !== parent || folder.last >= name) {
      throw invalidArgument(`changes out of order: ${quoted(path)} ${quoted(joinPath(before.path, before.last))}`);
    }
    folder.last = name;
    if (isDir(stat.mode)) this.#folders.push({ path, last: '' });
    this.#checkType(stat);
  }

  #checkType(stat: Stat): void {
    const { path, mode, linkname } = stat;
    if (stat.size < 0n) throw invalidArgument(`negative size of ${quoted(path)}`);
    const types = [GoMode.Dir, GoMode.Symlink, GoMode.Device, GoMode.NamedPipe, GoMode.Socket, GoMode.Irregular];
    if (types.filter((type) => (mode & type) !== 0).length > 1 || (mode & (GoMode.Socket | GoMode.Irregular)) !== 0) {
      throw invalidArgument(`invalid mode ${mode.toString(8)} of ${quoted(path)}`);
    }
    if ((mode & GoMode.CharDevice) !== 0 && (mode & GoMode.Device) === 0) {
      throw invalidArgument(`invalid mode ${mode.toString(8)} of ${quoted(path)}`);
    }
    if (linkname.length > MAX_LINK || linkname.includes('\0'))
      throw invalidArgument(`invalid link target of ${quoted(path)}`);
    if (isSymlink(mode)) {
      if (linkname === '') throw invalidArgument(`empty link target of ${quoted(path)}`);
    } else if (!isDir(mode)) {
      if (linkname === '') this.#files.add(path);
      else if (!this.#files.has(linkname)) {
        throw invalidArgument(`invalid link ${fromByteString(path)} to unknown path: ${quoted(linkname)}`);
      }
    }
  }
}
