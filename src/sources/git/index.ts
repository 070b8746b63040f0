/**
 * Repositories as sources: in come an URL, a ref and what the attributes say, out go the key of the commit and its tree. The work is
 * done by the machine's `git`. Deliberately absent: protocols and object formats, which are git's own.
 */
export { createGitSource } from './git-source.ts';
export type { GitSourceDeps } from './git-source.ts';
