/** The raw commit and tag objects behind a ref. */
import { BuildError, Code } from '../../base/index.ts';
import type { Git } from './git-program.ts';
import type { ResolvedRef } from './resolve-ref.ts';

export interface GitObjects {
  readonly commitChecksum: string;
  readonly commit: Uint8Array;
  /** Where the ref names an annotated tag. */
  readonly tag?: { readonly checksum: string; readonly object: Uint8Array };
}

/** From a repository that has them. */
export async function readObjects(git: Git, { checksum, commit }: ResolvedRef): Promise<GitObjects> {
  // Of a ref that is an object id it is not known yet what it names.
  const type = await git.text('cat-file', '-t', checksum);
  if (type === 'commit') return { commitChecksum: checksum, commit: await git.run('cat-file', 'commit', checksum) };
  if (type !== 'tag') throw new BuildError(Code.Unknown, `expected commit or tag object, got ${type}`);
  const commitChecksum = commit === '' ? await git.text('rev-parse', `${checksum}^{commit}`) : commit;
  return {
    commitChecksum,
    commit: await git.run('cat-file', 'commit', commitChecksum),
    tag: { checksum, object: await git.run('cat-file', 'tag', checksum) },
  };
}
