import { git, redactCredentials } from '../../llb/index.ts';
import type { State } from '../../llb/index.ts';
import type { GitRef } from './git-ref.ts';

/** A repository as a context. `written` is how the user named it. */
export function gitState(
  ref: GitRef,
  written: string,
  options: { keepGitDir?: boolean; mtimeCommit?: boolean } = {},
): State {
  return git(ref.remote, '', {
    ref: ref.ref,
    customName: `[internal] load git source ${redactCredentials(written)}`,
    keepGitDir: ref.keepGitDir === true || options.keepGitDir === true,
    subdir: ref.subdir || undefined,
    checksum: ref.checksum || undefined,
    skipSubmodules: ref.submodules === false,
    mtime: ref.mtime === '' ? (options.mtimeCommit ? 'commit' : undefined) : (ref.mtime as 'checkout' | 'commit'),
    fetchByCommit: ref.fetchByCommit,
  });
}
