/**
 * The digest of a part of a tree: of what a wildcard and include and exclude patterns leave. It covers folders' own attributes
 * and files, never folders as a whole, each with its path below the place where the selection begins.
 */
import { createHash } from 'node:crypto';
import { fromByteString, toByteString } from '../../archive/index.ts';
import type { ByteString } from '../../archive/index.ts';
import { notFound, wrapError } from '../../base/index.ts';
import { hasWildcards, matchPath, PatternMatcher } from '../../files/index.ts';
import type { ParentMatch } from '../../files/index.ts';
import type { ContentSelector } from '../types.ts';
import { cleanPath, EMPTY_DIGEST } from './hash-tree.ts';
import type { HashTree } from './hash-tree.ts';
import type { FolderNode, HashNode } from './nodes.ts';

type Selector = Omit<ContentSelector, 'path'>;

interface Candidate {
  /** As the selection names it: with a leading slash, '' for the root, links before the wildcard not resolved. */
  readonly path: ByteString;
  /** Where it is. */
  readonly real: ByteString;
  readonly node: HashNode;
  /** Nothing above it was looked at, and links are to be followed. */
  readonly follow: boolean;
  includeInfo: ParentMatch | undefined;
  excludeInfo: ParentMatch | undefined;
  included: boolean;
}

/** A path alone, with everything in it. */
export function isPlain(selector: Selector): boolean {
  return selector.wildcard !== true && !selector.includePatterns?.length && !selector.excludePatterns?.length;
}

/** What a selection that is not plain selects. */
export function selectedEntries(tree: HashTree, path: string, selector: Selector): readonly Candidate[] {
  return new Selection(tree, path, selector).run().found;
}

export function selectedDigest(tree: HashTree, path: string, selector: Selector): string {
  if (isPlain(selector)) return tree.checksum(toByteString(path), selector.followLinks === true);
  const { prefix, found } = new Selection(tree, path, selector).run();
  const digests = found.map((c) => {
    if (c.follow && c.node.kind === 'symlink') return tree.checksum(c.path, true);
    return c.node.kind === 'dir' ? tree.header(c.node, c.real) : tree.digest(c.node, c.real);
  });
  if (found.length === 0) return EMPTY_DIGEST;
  if (found.length === 1 && base(toByteString(path)) === base((found[0] as Candidate).path))
    return digests[0] as string;
  const hash = createHash('sha256');
  for (const [i, c] of found.entries()) {
    const rest = c.path.startsWith(prefix) ? c.path.slice(prefix.length) : c.path;
    hash.update(rest === '' ? '\0' : rest.replaceAll('/', '\0'), 'latin1');
    hash.update(digests[i] as string);
  }
  return `sha256:${hash.digest('hex')}`;
}

/** Go's path.Base. */
function base(path: ByteString): ByteString {
  if (path === '') return '.';
  const trimmed = path.replace(/\/+$/, '');
  return trimmed === '' ? '/' : trimmed.slice(trimmed.lastIndexOf('/') + 1);
}

function matcher(patterns: readonly string[] | undefined, what: string): PatternMatcher | undefined {
  if (patterns === undefined || patterns.length === 0) return undefined;
  try {
    return new PatternMatcher(patterns);
  } catch (error) {
    throw wrapError(error, `invalid ${what}: [${patterns.join(' ')}]`);
  }
}

/** Without an answer about the folder above, the folders above are asked about too. */
function ask(
  m: PatternMatcher,
  path: string,
  parent: ParentMatch | undefined,
): { matched: boolean; info: ParentMatch } {
  if (parent !== undefined || !path.includes('/')) return m.matchBelow(path, parent);
  let info: ParentMatch | undefined;
  for (let at = path.indexOf('/'); at >= 0; at = path.indexOf('/', at + 1))
    info = m.matchBelow(path.slice(0, at), info).info;
  return { matched: m.matches(path), info: m.matchBelow(path, info).info };
}

class Selection {
  readonly #tree: HashTree;
  readonly #selector: Selector;
  /** With a leading slash; '' is the root. */
  readonly #path: ByteString;
  readonly #text: string;
  readonly #endsInSlash: boolean;
  readonly #include: PatternMatcher | undefined;
  readonly #exclude: PatternMatcher | undefined;
  readonly #found: Candidate[] = [];
  /** The last place that the wildcard matched. */
  #matched = '';

  constructor(tree: HashTree, path: string, selector: Selector) {
    this.#tree = tree;
    this.#selector = selector;
    const clean = cleanPath(toByteString(path));
    this.#path = clean === '' ? '' : `/${clean}`;
    this.#text = fromByteString(this.#path);
    this.#endsInSlash = path.endsWith('/');
    this.#include = matcher(selector.includePatterns, 'includepatterns');
    this.#exclude = matcher(selector.excludePatterns, 'excludepatterns');
  }

  run(): { prefix: ByteString; found: readonly Candidate[] } {
    const { prefix, follow } = this.#beginning();
    const { path, node } = this.#tree.locate(prefix, follow);
    if (node !== undefined) this.#visit(prefix, path, node, []);
    for (const required of this.#selector.requiredPaths ?? []) {
      const bytes = toByteString(required);
      if (!this.#found.some((c) => c.path.startsWith(bytes))) throw notFound(`"${required}": not found`);
    }
    return { prefix, found: this.#found };
  }

  /** Where the walk begins: the path up to its first wildcard. Its last link is only followed for what comes after it. */
  #beginning(): { prefix: ByteString; follow: boolean } {
    if (this.#selector.wildcard !== true) return { prefix: this.#path, follow: false };
    const parts = this.#path.split('/').slice(1);
    const first = parts.findIndex((part) => hasWildcards(part));
    const plain = first < 0 ? parts : parts.slice(0, first);
    return { prefix: plain.length === 0 || this.#path === '' ? '' : `/${plain.join('/')}`, follow: first >= 0 };
  }

  #visit(path: ByteString, real: ByteString, node: HashNode, above: readonly Candidate[]): void {
    if (node.kind !== 'dir') {
      this.#consider(path, real, node, above);
      return;
    }
    let below = above;
    if (path === this.#path && this.#endsInSlash) this.#match(path);
    else {
      const candidate = this.#consider(path, real, node, above);
      if (candidate !== undefined) below = [...above, candidate];
    }
    if (!this.#mayMatchBelow(path)) return;
    this.#visitChildren(path, real, node, below);
  }

  #visitChildren(path: ByteString, real: ByteString, folder: FolderNode, above: readonly Candidate[]): void {
    for (const [name, child] of this.#tree.children(folder, real))
      this.#visit(`${path}/${name}`, real === '' ? name : `${real}/${name}`, child, above);
  }

  /** The candidate, chosen or not; undefined where the wildcard does not match. */
  #consider(path: ByteString, real: ByteString, node: HashNode, above: readonly Candidate[]): Candidate | undefined {
    if (!this.#match(path)) return undefined;
    const parent = above.at(-1);
    const candidate: Candidate = {
      path,
      real,
      node,
      follow: parent === undefined && this.#selector.followLinks === true,
      includeInfo: undefined,
      excludeInfo: undefined,
      included: false,
    };
    const start = this.#selector.wildcard === true ? this.#matched : this.#path;
    const relative = `${path}/`.startsWith(`${start}/`) ? path.slice(start.length + 1) : path;
    if (!this.#chosen(fromByteString(relative), candidate, parent)) return candidate;
    for (const folder of [...above, candidate]) {
      if (folder.included) continue;
      folder.included = true;
      this.#found.push(folder);
    }
    return candidate;
  }

  #match(path: ByteString): boolean {
    if (this.#selector.wildcard !== true || this.#path === '') return true;
    if (this.#matched !== '' && path.startsWith(`${this.#matched}/`)) return true;
    if (!matchPath(this.#text, fromByteString(path))) return false;
    this.#matched = path;
    return true;
  }

  /** A component matches a component, but that a character class may match a slash. */
  #mayMatchBelow(path: ByteString): boolean {
    if (this.#selector.wildcard !== true || this.#path === '' || this.#text.includes('[')) return true;
    if (this.#matched !== '' && `${path}/`.startsWith(`${this.#matched}/`)) return true;
    const depth = path === '' ? 0 : path.split('/').length - 1;
    const pattern = this.#text.split('/').slice(1);
    return (
      depth < pattern.length &&
      (depth === 0 || matchPath(`/${pattern.slice(0, depth).join('/')}`, fromByteString(path)))
    );
  }

  #chosen(path: string, candidate: Candidate, parent: Candidate | undefined): boolean {
    if (this.#include !== undefined) {
      const { matched, info } = ask(this.#include, path, parent?.includeInfo);
      candidate.includeInfo = info;
      if (!matched) return false;
    }
    if (this.#exclude !== undefined) {
      const { matched, info } = ask(this.#exclude, path, parent?.excludeInfo);
      candidate.excludeInfo = info;
      if (matched) return false;
    }
    return true;
  }
}
