import type { GitRequest } from './attrs.ts';
import { isCommitId } from './object-id.ts';
import type { ResolvedRef } from './resolve-ref.ts';

/** What a checkout is known by: the same text as upstream's (source/git/source.go), so that caches can be shared. */
export function gitCacheKey(request: GitRequest, { ref, checksum, commit }: ResolvedRef): string {
  // Without history the tag leaves no trace: its commit finds more.
  let key = isCommitId(ref) ? ref : commit !== '' && !request.keepGitDir ? commit : checksum;
  if (request.keepGitDir) key += `.git${ref === '' ? '' : `#${ref}`}`;
  if (request.subdir !== '') key += `:${request.subdir}`;
  if (request.skipSubmodules) key += '(skip-submodules)';
  if (request.mtime !== '' && request.mtime !== 'checkout') key += `(mtime=${request.mtime})`;
  if (request.checkoutBundle) key += '(bundle)';
  return key;
}
