import type { ByteString } from '../../archive/index.ts';

/** What is known of a tree's entries. A digest that is undefined has not been computed, or is no longer true. */
export interface FileNode {
  readonly kind: 'file';
  digest: string | undefined;
}

export interface LinkNode {
  readonly kind: 'symlink';
  readonly target: ByteString;
  digest: string | undefined;
}

export interface FolderNode {
  readonly kind: 'dir';
  /** Of the folder's own attributes. */
  header: string | undefined;
  /** Of the folder with all that is in it. */
  digest: string | undefined;
  /** `children` are all that there are. */
  listed: boolean;
  readonly children: Map<ByteString, HashNode>;
}

export type HashNode = FileNode | LinkNode | FolderNode;

export function newFolder(): FolderNode {
  return { kind: 'dir', header: undefined, digest: undefined, listed: false, children: new Map() };
}

/** Names from `/a//b/`; '' and '/' are the root. Does not clean. */
export function partsOf(path: ByteString): ByteString[] {
  return path.split('/').filter((part) => part !== '');
}
