import type { ByteString } from '../byte-string.ts';
import { foldName } from './names.ts';

/** The names that one folder may have, by how Windows compares them. Usually one for each. */
export class FolderSpelling {
  readonly #names = new Map<string, ByteString[]>();

  constructor(names: Iterable<ByteString>) {
    for (const name of names) this.add(name);
  }

  add(name: ByteString): void {
    const folded = foldName(name);
    const same = this.#names.get(folded);
    if (same === undefined) this.#names.set(folded, [name]);
    else if (!same.includes(name)) same.push(name);
  }

  /** Those that Windows takes for `name`, itself first where it is among them. */
  of(name: ByteString): readonly ByteString[] {
    const same = this.#names.get(foldName(name)) ?? [];
    return same.length > 1 && same.includes(name) ? [name, ...same.filter((other) => other !== name)] : same;
  }
}

/** Listings of folders, read once each: a folder is asked for many names in a row. */
const MAX_FOLDERS = 4096;

export interface SpellingSource {
  /** Names in the folder, some of which may turn out not to be there. */
  names(folder: ByteString): Iterable<ByteString>;
  has(path: ByteString): boolean;
}

/**
 * How the names of a tree are spelt: Windows takes `app\x` for `App\X`, Linux does not. Paths are relative byte strings, '' is
 * the root. What comes and goes is told by {@link add} and {@link removed}.
 */
export class TreeSpelling {
  readonly #source: SpellingSource;
  readonly #folders = new Map<ByteString, FolderSpelling>();
  /** Folders by how they were asked for. */
  readonly #spelt = new Map<ByteString, ByteString>();

  constructor(source: SpellingSource) {
    this.#source = source;
  }

  /** The path as it is spelt as far as it is there; the rest stays as it is given. */
  of(path: ByteString): ByteString {
    const slash = path.lastIndexOf('/');
    const folder = slash < 0 ? '' : this.#folderOf(path.slice(0, slash));
    return this.nameIn(folder, path.slice(slash + 1));
  }

  #folderOf(path: ByteString): ByteString {
    const known = this.#spelt.get(path);
    if (known !== undefined) return known;
    const spelt = this.of(path);
    if (this.#spelt.size >= MAX_FOLDERS) this.#spelt.clear();
    this.#spelt.set(path, spelt);
    return spelt;
  }

  /** The path of `name` in a folder whose own path is spelt right. */
  nameIn(folder: ByteString, name: ByteString): ByteString {
    const prefix = folder === '' ? '' : `${folder}/`;
    for (const spelt of this.#folder(folder).of(name)) if (this.#source.has(prefix + spelt)) return prefix + spelt;
    return prefix + name;
  }

  /** What has come into the tree. */
  add(path: ByteString): void {
    const slash = path.lastIndexOf('/');
    this.#folders.get(slash < 0 ? '' : path.slice(0, slash))?.add(path.slice(slash + 1));
  }

  /** Something has gone. */
  removed(): void {
    this.#spelt.clear();
  }

  #folder(path: ByteString): FolderSpelling {
    const known = this.#folders.get(path);
    if (known !== undefined) return known;
    const folder = new FolderSpelling(this.#source.names(path));
    if (this.#folders.size >= MAX_FOLDERS) this.#folders.clear();
    this.#folders.set(path, folder);
    return folder;
  }
}
