import { toByteString } from '../../archive/index.ts';
import type { ByteString } from '../../archive/index.ts';
import { GoMode } from '../../files/types.ts';
import type { TreeChange } from '../../files/types.ts';
import { cleanPath, EMPTY_DIGEST } from './hash-tree.ts';
import { newFolder, partsOf } from './nodes.ts';
import type { FolderNode, HashNode } from './nodes.ts';

/** What a change says to a hasher, as a line of the journal. */
export interface NotedChange {
  readonly path: string;
  readonly kind: 'delete' | 'dir' | 'symlink' | 'file';
  readonly digest?: string;
  /** Of a folder: it was made, so all that is in it will be told. */
  readonly isNew?: true;
  /** Of a symlink its target, of a file the path that it is another name of. */
  readonly link?: string;
}

export function noteChange(change: TreeChange): NotedChange {
  const { path, stat, digest } = change;
  if (change.kind === 'delete' || stat === undefined) return { path, kind: 'delete' };
  const kind = (stat.mode & GoMode.Dir) !== 0 ? 'dir' : (stat.mode & GoMode.Symlink) !== 0 ? 'symlink' : 'file';
  return {
    path,
    kind,
    ...(digest === undefined ? {} : { digest }),
    ...(kind === 'dir' || stat.linkname === '' ? {} : { link: stat.linkname }),
    ...(kind === 'dir' && change.kind === 'add' ? { isNew: true } : {}),
  };
}

/** Follows a transfer. Digests of folders on the way up become unknown. */
export class ChangeFollower {
  readonly #root: FolderNode;
  /** Names of files whose data comes later, by the path that has it. */
  readonly #links = new Map<ByteString, ByteString[]>();

  constructor(root: FolderNode) {
    this.#root = root;
    // The root of a transfer is never sent (upstream takes it for empty).
    root.header ??= EMPTY_DIGEST;
  }

  apply(change: NotedChange): void {
    const path = cleanPath(toByteString(change.path));
    if (path === '') return;
    if (change.kind === 'delete') {
      this.#folder(path, false)?.folder.children.delete(path.slice(path.lastIndexOf('/') + 1));
      return;
    }
    if (change.kind === 'dir') {
      const old = this.#find(path);
      const folder = old?.kind === 'dir' ? old : newFolder();
      folder.header = change.digest;
      folder.digest = undefined;
      if (change.isNew === true && old === undefined) folder.listed = true;
      this.#set(path, folder);
      return;
    }
    if (change.kind === 'symlink') {
      this.#set(path, { kind: 'symlink', target: toByteString(change.link ?? ''), digest: change.digest });
      return;
    }
    let { digest } = change;
    if (change.link !== undefined) {
      const source = cleanPath(toByteString(change.link));
      const known = this.#find(source);
      if (known !== undefined && known.kind !== 'dir') digest = known.digest;
      this.#links.set(source, [...(this.#links.get(source) ?? []), path]);
    }
    this.#set(path, { kind: 'file', digest });
    for (const link of this.#links.get(path) ?? []) this.#set(link, { kind: 'file', digest });
    this.#links.delete(path);
  }

  #find(path: ByteString): HashNode | undefined {
    let node: HashNode | undefined = this.#root;
    for (const part of partsOf(path)) node = node?.kind === 'dir' ? node.children.get(part) : undefined;
    return node;
  }

  #set(path: ByteString, node: HashNode): void {
    const place = this.#folder(path, true);
    place?.folder.children.set(path.slice(path.lastIndexOf('/') + 1), node);
  }

  /** The folder that `path` is in; folders on the way lose their digests. */
  #folder(path: ByteString, make: boolean): { folder: FolderNode } | undefined {
    let folder = this.#root;
    folder.digest = undefined;
    for (const part of partsOf(path).slice(0, -1)) {
      let next = folder.children.get(part);
      if (next?.kind !== 'dir') {
        if (!make) return undefined;
        next = newFolder();
        folder.children.set(part, next);
      }
      folder = next;
      folder.digest = undefined;
    }
    return { folder };
  }
}
