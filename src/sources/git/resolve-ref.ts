/** Which commit a ref names, as the remote says it. */
import { BuildError, Code, wrapError } from '../../base/index.ts';
import { redactCredentials } from '../../llb/index.ts';
import { isCommitId } from './object-id.ts';
import type { Git } from './git-program.ts';

/** A ref and what it names. */
export interface ResolvedRef {
  /** In full: `refs/heads/main`; or the commit itself where that was asked for. */
  readonly ref: string;
  /** A commit, or an annotated tag. */
  readonly checksum: string;
  /** The commit of an annotated tag; '' where `checksum` is a commit, or may be one. */
  readonly commit: string;
}

function fail(message: string): BuildError {
  return new BuildError(Code.Unknown, message);
}

/** The branch that the remote's HEAD is; `id` as far as the remote told it with that. */
async function defaultBranch(git: Git, url: string): Promise<{ branch: string; id: string | undefined }> {
  let answer: string;
  try {
    answer = await git.text('ls-remote', '--symref', '--', url, 'HEAD');
  } catch (error) {
    throw wrapError(error, `error fetching default branch for repository ${redactCredentials(url)}`);
  }
  const branch = /refs\/heads\/(\S+)/.exec(answer)?.[1];
  if (branch === undefined) throw fail(`could not find default branch for repository: ${redactCredentials(url)}`);
  if (branch.startsWith('-')) throw fail(`invalid git ref ${JSON.stringify(branch)}`);
  return { branch, id: /^(\S+)\tHEAD$/m.exec(answer)?.[1] };
}

/** `listing` is what ls-remote says of `ref` and `ref^{}`. A full ref comes first, then a branch of that name, then a tag. */
export function chooseRef(listing: string, ref: string): ResolvedRef {
  const ids = new Map<string, string>();
  for (const line of listing.split('\n')) {
    const [id, name] = line.split('\t');
    if (name !== undefined) ids.set(name, id);
  }
  const below = (prefix: string): string => prefix + (ref.startsWith(prefix) ? ref.slice(prefix.length) : ref);
  const tag = below('refs/tags/');
  const branches = [below('refs/'), below('refs/heads/')].filter((name) => name !== tag);
  const name = [...branches, tag].find((n) => ids.get(n) !== undefined && ids.get(n) !== '');
  if (name === undefined) {
    throw fail(`repository does not contain ref ${ref}, output: ${JSON.stringify(listing)}`);
  }
  const checksum = ids.get(name) as string;
  if (!isCommitId(checksum)) throw fail(`invalid commit sha ${JSON.stringify(checksum)}`);
  const commit = name === tag ? (ids.get(`${tag}^{}`) ?? '') : '';
  if (commit !== '' && !isCommitId(commit)) throw fail(`invalid commit sha ${JSON.stringify(commit)}`);
  return { ref: name, checksum, commit };
}

/** Asks the remote. `ref` '' is its default branch. */
export async function resolveRemoteRef(git: Git, url: string, ref: string): Promise<ResolvedRef> {
  let wanted = ref;
  if (ref === '') {
    const { branch, id = '' } = await defaultBranch(git, url);
    if (isCommitId(id)) return { ref: `refs/heads/${branch}`, checksum: id, commit: '' };
    wanted = branch;
  }
  let listing: Buffer;
  try {
    listing = await git.run('ls-remote', '--', url, wanted, `${wanted}^{}`);
  } catch (error) {
    throw wrapError(error, `failed to fetch remote ${redactCredentials(url)}`);
  }
  return chooseRef(listing.toString('utf8'), wanted);
}
