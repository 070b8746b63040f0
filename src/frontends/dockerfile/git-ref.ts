/** Git URLs as contexts and ADD take them: `https://host/repo.git#ref:subdir`, `?tag=…`, `git@host:repo`. */
import { cut, joinPath, parseBool, quote } from './go-text.ts';
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

interface Parts {
  scheme: string;
  path: string;
  remote: string;
  query: string;
  fragment: string;
}

function splitUrl(url: string): Parts | undefined {
  const [beforeFragment, fragment] = cut(url, '#');
  const [remote, query] = cut(beforeFragment, '?');
  const match = /^([a-zA-Z0-9]+):\/\/[^/]*(\/.*)?$/.exec(remote);
  if (match === null) return undefined;
  try {
    return { scheme: match[1].toLowerCase(), path: decodeURIComponent(match[2] ?? ''), remote, query, fragment };
  } catch {
    return undefined;
  }
}

/** `user@host:path`. */
function splitScp(url: string): Parts | undefined {
  const match = /^([a-zA-Z0-9-_]+)@([a-zA-Z0-9-.]+):([^?#]*)(?:\?([^#]*))?(?:#(.*))?$/.exec(url);
  if (match === null) return undefined;
  const [, user, host, path, query = '', fragment = ''] = match;
  return { scheme: 'ssh', path, remote: `${user}@${host}:${path}`, query, fragment };
}

function splitRemote(text: string): { parts: Parts; ambiguous: boolean } | undefined {
  if (text.startsWith('./') || text.startsWith('../')) return undefined;
  if (text.startsWith('github.com/')) {
    const parts = splitUrl(`https://${text}`);
    return parts && { parts: { ...parts, remote: parts.remote.slice('https://'.length) }, ambiguous: true };
  }
  const parts = /^[a-zA-Z0-9]+:\/\//.test(text) ? splitUrl(text) : splitScp(text);
  if (parts === undefined || !['http', 'https', 'ssh', 'git'].includes(parts.scheme)) return undefined;
  if (parts.scheme.startsWith('http') && !parts.path.endsWith('.git')) return undefined;
  return { parts, ambiguous: false };
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
  const { parts, ambiguous } = found;
  const [fragmentRef, rawSubdir, hasSubdir] = cut(parts.fragment, ':');
  const fragmentSubdir = hasSubdir ? joinPath('/', rawSubdir).slice(1) : '';
  const query = parseQuery(parts.query);
  for (const key of query.keys()) if (!KEYS.has(key)) throw textError(`unexpected query ${quote(key)}`);
  const tag = query.get('tag');
  const branch = query.get('branch');
  if (tag !== undefined && branch !== undefined) throw textError('branch conflicts with tag');
  let ref = agree('ref', fragmentRef, query.get('ref'));
  ref = agree('ref', ref, prefixed('refs/tags/', tag));
  ref = agree('ref', ref, prefixed('refs/heads/', branch));
  const mtime = query.get('mtime') ?? '';
  if (!['', 'checkout', 'commit'].includes(mtime)) {
    throw textError(`invalid mtime value: ${quote(mtime)} (must be "checkout" or "commit")`);
  }
  return {
    remote: parts.remote,
    ref,
    subdir: agree('subdir', fragmentSubdir, query.get('subdir')),
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
