/** Git URLs as contexts and ADD take them: `https://host/repo.git#ref:subdir`, `?tag=…`, `git@host:repo`, `github.com/…`. */
import { parseGitUrl } from '../../llb/index.ts';
import type { GitUrl } from '../../llb/index.ts';
import { parseBool, quote } from './go-text.ts';
import { textError } from './located-error.ts';

export interface GitRef {
  readonly remote: string;
  readonly ref: string;
  readonly subdir: string;
  readonly checksum: string;
  /** `github.com/…`: could be a local path as well. */
  readonly ambiguous: boolean;
  readonly keepGitDir?: boolean;
  readonly submodules?: boolean;
  readonly mtime: string;
  readonly fetchByCommit: boolean;
}

/** Undefined for what is no address of a repository, wrong ones too. */
function splitRemote(text: string): { url: GitUrl; remote: string; ambiguous: boolean } | undefined {
  if (text.startsWith('./') || text.startsWith('../')) return undefined;
  const ambiguous = text.startsWith('github.com/');
  let url: GitUrl | undefined;
  try {
    url = parseGitUrl(ambiguous ? `https://${text}` : text);
  } catch {
    return undefined;
  }
  if (url === undefined) return undefined;
  if (ambiguous) return { url, remote: url.remote.slice('https://'.length), ambiguous };
  if (url.scheme.startsWith('http') && !url.path.endsWith('.git')) return undefined;
  return { url, remote: url.remote, ambiguous };
}

function parseQuery(query: string): Map<string, string> {
  const values = new Map<string, string>();
  for (const [key, value] of new URLSearchParams(query)) {
    if (values.has(key)) throw textError(`query ${quote(key)} has multiple values`);
    const mayBeEmpty = ['submodules', 'keep-git-dir', 'fetch-by-commit'].includes(key);
    if (value === '' && !mayBeEmpty) throw textError(`query ${quote(key)} has no value`);
    values.set(key, value);
  }
  return values;
}

function flag(query: ReadonlyMap<string, string>, key: string): boolean | undefined {
  const value = query.get(key);
  if (value === undefined) return undefined;
  const parsed = value === '' ? true : parseBool(value);
  if (parsed === undefined) throw textError(`invalid ${key} value: ${quote(value)}`);
  return parsed;
}

function agree(what: string, a: string, b: string | undefined): string {
  if (b === undefined || b === '') return a;
  if (a !== '' && a !== b) throw textError(`${what} conflicts: ${quote(a)} vs ${quote(b)}`);
  return b;
}

function prefixed(prefix: string, name: string | undefined): string | undefined {
  return name === undefined || name.startsWith(prefix) ? name : prefix + name;
}

const KEYS = new Set([
  'ref',
  'tag',
  'branch',
  'subdir',
  'checksum',
  'commit',
  'keep-git-dir',
  'submodules',
  'mtime',
  'fetch-by-commit',
]);

/** Undefined when the text is no git URL; throws when it is a wrong one. */
export function parseGitRef(text: string): GitRef | undefined {
  const found = splitRemote(text);
  if (found === undefined) return undefined;
  const { url, remote, ambiguous } = found;
  const query = parseQuery(url.query);
  for (const key of query.keys()) if (!KEYS.has(key)) throw textError(`unexpected query ${quote(key)}`);
  const tag = query.get('tag');
  const branch = query.get('branch');
  if (tag !== undefined && branch !== undefined) throw textError('branch conflicts with tag');
  let ref = agree('ref', url.ref, query.get('ref'));
  ref = agree('ref', ref, prefixed('refs/tags/', tag));
  ref = agree('ref', ref, prefixed('refs/heads/', branch));
  const mtime = query.get('mtime') ?? '';
  if (!['', 'checkout', 'commit'].includes(mtime)) {
    throw textError(`invalid mtime value: ${quote(mtime)} (must be "checkout" or "commit")`);
  }
  return {
    remote,
    ref,
    subdir: agree('subdir', url.subdir, query.get('subdir')),
    checksum: query.get('checksum') ?? query.get('commit') ?? '',
    ambiguous,
    keepGitDir: flag(query, 'keep-git-dir'),
    submodules: flag(query, 'submodules'),
    mtime,
    fetchByCommit: flag(query, 'fetch-by-commit') ?? false,
  };
}

/** For things that are only asked about: a wrong git URL counts as one. */
export function isGitUrl(text: string): boolean {
  try {
    return parseGitRef(text) !== undefined;
  } catch {
    return true;
  }
}
