/** What a digest covers, entry by entry: so that two contents of which only digests are known can be told apart. */
import { fromByteString, toByteString } from '../../archive/index.ts';
import type { ByteString } from '../../archive/index.ts';
import type { ContentSelector } from '../types.ts';
import type { HashTree } from './hash-tree.ts';
import type { HashNode } from './nodes.ts';
import { isPlain, selectedEntries } from './selection.ts';

/** By path, without a leading slash; '' is the root. */
export type Listing = ReadonlyMap<string, ListedEntry>;

export interface ListedEntry {
  readonly kind: HashNode['kind'];
  /** Of a folder its own attributes only. */
  readonly digest: string;
  /** Octal, without the file type. */
  readonly mode: string;
  /** `uid:gid`. */
  readonly owner: string;
}

/** undefined: more than `max` entries. */
export function listSelected(
  tree: HashTree,
  selectors: readonly ContentSelector[],
  max: number,
): Map<string, ListedEntry> | undefined {
  const found = new Map<string, ListedEntry>();
  const add = (path: ByteString, node: HashNode): void => {
    const text = fromByteString(path);
    if (found.size > max || found.has(text)) return;
    found.set(text, {
      kind: node.kind,
      digest: node.kind === 'dir' ? tree.header(node, path) : tree.digest(node, path),
      ...tree.attributes(path),
    });
  };
  const addTree = (path: ByteString, node: HashNode): void => {
    add(path, node);
    if (node.kind !== 'dir') return;
    for (const [name, child] of tree.children(node, path)) {
      if (found.size > max) return;
      addTree(path === '' ? name : `${path}/${name}`, child);
    }
  };
  for (const { path, ...selector } of selectors) {
    if (isPlain(selector)) {
      const start = tree.locate(toByteString(path), selector.followLinks === true);
      if (start.node !== undefined) addTree(start.path, start.node);
      continue;
    }
    for (const entry of selectedEntries(tree, path, selector)) {
      const { real, node } = entry;
      if (entry.follow && node.kind === 'symlink') {
        const target = tree.locate(entry.path, true);
        if (target.node !== undefined) addTree(target.path, target.node);
      } else add(real, node);
    }
  }
  return found.size > max ? undefined : found;
}

/** One line for each path that differs, in byte order of paths. */
export function* differences(before: Listing, now: Listing): Generator<string> {
  const paths = [...new Set([...before.keys(), ...now.keys()])].sort((a, b) => (a < b ? -1 : 1));
  for (const path of paths) {
    const was = before.get(path);
    const is = now.get(path);
    const name = path === '' ? '/' : path;
    if (was === undefined) yield `${name} added`;
    else if (is === undefined) yield `${name} removed`;
    else if (was.kind !== is.kind) yield `${name} ${KIND[was.kind]}→${KIND[is.kind]}`;
    else if (was.digest !== is.digest) yield `${name} ${attributeText(was, is)}`;
  }
}

const KIND = { file: 'file', symlink: 'symlink', dir: 'folder' } as const;

/** The digest covers more than can be told apart here: what is not the mode or the owner is the content or an xattr. */
function attributeText(was: ListedEntry, is: ListedEntry): string {
  const parts: string[] = [];
  if (was.mode !== is.mode) parts.push(`mode ${was.mode}→${is.mode}`);
  if (was.owner !== is.owner) parts.push(`owner ${was.owner}→${is.owner}`);
  if (parts.length > 0) return parts.join(', ');
  return { file: 'content', symlink: 'target', dir: 'attributes' }[is.kind];
}
