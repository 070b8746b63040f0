import { readdirSync } from 'node:fs';
import { fsPath } from '../../archive/index.ts';
import type { ByteString } from '../../archive/index.ts';
import { FolderSpelling } from '../../archive/windows/index.ts';

/** More folders than a copy has open; a tree that is walked comes back to few. */
const MAX_FOLDERS = 4096;

/**
 * How the folders of a Windows tree on this machine spell their names: Windows takes `app` for `App`, Linux does not. Each folder is listed
 * once; what is made in it meanwhile is told. Synchronous, for one job.
 */
export class FolderNames {
  readonly #folders = new Map<ByteString, FolderSpelling>();

  /** The name that `folder` has for it; `name` itself where it has none. */
  in(folder: ByteString, name: ByteString): ByteString {
    return this.#of(folder).of(name)[0] ?? name;
  }

  made(folder: ByteString, name: ByteString): void {
    this.#folders.get(folder)?.add(name);
  }

  /** Something in it has gone. */
  changed(folder: ByteString): void {
    this.#folders.delete(folder);
  }

  #of(folder: ByteString): FolderSpelling {
    const known = this.#folders.get(folder);
    if (known !== undefined) return known;
    if (this.#folders.size >= MAX_FOLDERS) this.#folders.clear();
    const spelling = new FolderSpelling(namesIn(folder));
    this.#folders.set(folder, spelling);
    return spelling;
  }
}

function namesIn(folder: ByteString): ByteString[] {
  try {
    return readdirSync(fsPath(folder), { encoding: 'latin1' });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return [];
    throw error;
  }
}
