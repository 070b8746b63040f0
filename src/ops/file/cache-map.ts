import { posix } from 'node:path';
import { invalidArgument } from '../../base/index.ts';
import { hasWildcards } from '../../files/index.ts';
import type { ChownOpt, FileAction } from '../../proto/ops.pb.ts';
import type { CacheMap, CacheMapDep, JobContext, Result } from '../../solver/types.ts';
import type { ContentHasher, ContentSelector } from '../../storage/types.ts';
import { systemOf } from '../../systems/index.ts';
import type { UserRules } from '../../systems/index.ts';
import { sha256 } from '../op-digest.ts';
import { refOf } from '../ref-result.ts';
import { actionJson } from './action-json.ts';
import { contentDep } from '../content-dep.ts';

const NONE = -1n;

/** What of each input the actions read. An input that is changed counts as a whole, by its own key. */
class InputUse {
  readonly #selectors = new Map<number, ContentSelector[]>();
  readonly #changed = new Set<number>();

  read(input: bigint, selector: ContentSelector): void {
    const at = Number(input);
    const list = this.#selectors.get(at);
    if (list === undefined) this.#selectors.set(at, [selector]);
    else list.push(selector);
  }

  change(input: bigint): void {
    if (input !== NONE) this.#changed.add(Number(input));
  }

  owner(owner: ChownOpt | undefined): void {
    const files = [
      [owner?.user, '/etc/passwd'],
      [owner?.group, '/etc/group'],
    ] as const;
    for (const [option, path] of files) {
      if (option?.user?.$case !== 'byName') continue;
      const { input } = option.user.value;
      // Nothing that can be looked into: running the action says so.
      if (input >= 0n) this.read(input, { path, followLinks: true });
    }
  }

  /** Throws InvalidArgument for an input that there is not. */
  selectorsOf(count: number): Map<number, readonly ContentSelector[]> {
    const found = new Map<number, readonly ContentSelector[]>();
    for (const [input, selectors] of this.#selectors) {
      if (input >= count) throw invalidArgument(`invalid input index ${input} in file op with ${count} inputs`);
      if (!this.#changed.has(input)) found.set(input, selectors);
    }
    return found;
  }
}

/** The numbers of one action: input, second input, output. */
type Indexes = readonly [bigint, bigint, bigint];

/** A chain over the first input that may read the second: older versions hashed no indexes, and this keeps their keys. */
function isPlainChain(indexes: readonly Indexes[]): boolean {
  const last = indexes.length - 1;
  return (
    last >= 0 &&
    indexes.every(
      ([input, second, output], i) =>
        input === (i === 0 ? 0n : BigInt(last + i)) &&
        (second === NONE || second === 1n) &&
        output === (i === last ? 0n : NONE),
    )
  );
}

/** Owners that the system knows of itself, and that so mean the same whatever the inputs are. */
function knownOwners(actions: readonly FileAction[], { find }: UserRules): readonly string[] {
  return actions.flatMap(({ action }) => {
    const owner = action === undefined || action.$case === 'rm' ? undefined : action.value.owner;
    return [owner?.user, owner?.group].flatMap((option) => {
      if (option?.user?.$case !== 'byName') return [];
      const ids = find(option.user.value.name);
      return ids === undefined ? [] : [`${ids.uid}:${ids.gid}`];
    });
  });
}

/** `name` is the step's, `os` the system that the files are for. */
export function fileCacheMap(
  hasher: ContentHasher,
  actions: readonly FileAction[],
  inputCount: number,
  { name, os }: { readonly name: string; readonly os: string },
): CacheMap {
  const use = new InputUse();
  const encoded: string[] = [];
  const indexes: Indexes[] = [];
  for (const action of actions) {
    const kind = action.action;
    if (kind !== undefined) use.change(action.input);
    let source: string | undefined;
    if (kind?.$case === 'mkdir' || kind?.$case === 'mkfile' || kind?.$case === 'copy') use.owner(kind.value.owner);
    if (kind?.$case === 'copy' && action.secondaryInput >= 0n && action.secondaryInput < BigInt(inputCount)) {
      const copy = kind.value;
      use.read(action.secondaryInput, {
        path: copy.src,
        wildcard: copy.allowWildcard && hasWildcards(copy.src),
        followLinks: copy.followSymlink,
        includePatterns: copy.includePatterns,
        excludePatterns: copy.excludePatterns,
        requiredPaths: copy.requiredPaths,
      });
      // Where the files come from does not matter, only what they are: the base name is all that can show in the result.
      source = goBase(copy.src);
    }
    const json = actionJson(action, source);
    encoded.push(json === undefined ? 'null' : `"${Buffer.from(json).toString('base64')}"`);
    indexes.push([action.input, action.secondaryInput, action.output]);
  }
  const fields = ['"Type":"buildkit.file.v0"', `"Actions":[${encoded.join(',')}]`];
  if (indexes.length > 0 && !isPlainChain(indexes)) {
    fields.push(`"indexes":[${indexes.map((i) => `[${i.join(',')}]`).join(',')}]`);
  }
  const owners = knownOwners(actions, systemOf(os).users);
  // Upstream's daemon on Linux loses these owners: its results are not the same.
  if (owners.length > 0) fields.push(`"owners":[${owners.map((ids) => `"${ids}"`).join(',')}]`);
  // What begins on nothing is a layer of that system; upstream makes it as if it were for Linux.
  if (os === 'windows' && actions.some(({ input }) => input === NONE)) fields.push('"os":"windows"');
  const selectors = use.selectorsOf(inputCount);
  const deps = Array.from({ length: inputCount }, (_, input): CacheMapDep => {
    const used = selectors.get(input);
    if (used === undefined) return { preprocess: unlazy };
    // Descending: how it once happened to be.
    const paths = used.map((s) => Buffer.from(s.path)).sort((a, b) => Buffer.compare(b, a));
    const joined = Buffer.concat(paths.flatMap((p, i) => (i === 0 ? [p] : [Buffer.from([0]), p])));
    const read = distinct(used).map((s) => ({ ...s, path: posix.join('/', s.path).replace(/(?<=.)\/$/, '') }));
    return { selector: sha256(joined), ...contentDep(hasher, read, `${name} ${input}`), preprocess: unlazy };
  });
  return { digest: sha256(`{${fields.join(',')}}`), deps };
}

/** Go's path.Base. */
function goBase(path: string): string {
  if (path === '') return '.';
  const trimmed = path.replace(/\/+$/, '');
  return trimmed === '' ? '/' : trimmed.slice(trimmed.lastIndexOf('/') + 1);
}

async function unlazy(result: Result, context: JobContext): Promise<void> {
  await refOf(result)?.unlazy(context);
}

function isFiltered(selector: ContentSelector): boolean {
  return (
    selector.wildcard === true ||
    (selector.includePatterns?.length ?? 0) > 0 ||
    (selector.excludePatterns?.length ?? 0) > 0
  );
}

function compareText(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

/** Plain paths without those that others contain; in order of path. */
function distinct(selectors: readonly ContentSelector[]): readonly ContentSelector[] {
  const plain = (followLinks: boolean): ContentSelector[] => {
    const paths = new Set(
      selectors.filter((s) => !isFiltered(s) && (s.followLinks === true) === followLinks).map((s) => s.path),
    );
    const covered = (path: string): boolean =>
      [...paths].some((p) => p !== path && path.startsWith(p.endsWith('/') ? p : `${p}/`));
    return [...paths]
      .filter((p) => !covered(p))
      .sort(compareText)
      .map((path) => ({ path, followLinks }));
  };
  return [...plain(false), ...plain(true), ...selectors.filter(isFiltered)].sort((a, b) => compareText(a.path, b.path));
}
