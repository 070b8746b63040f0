/**
 * Content from outside: images of registries, images of clients' OCI layouts, single blobs of both,
 * clients' directories, files of HTTP servers, git repositories. In come identifiers with attributes, out go cache keys and refs; image layers stay lazy.
 * Deliberately absent: what is built on top.
 */
import type { TreeHasher } from '../storage/index.ts';
import { createBlobSource } from './blob.ts';
import { createGitSource } from './git/index.ts';
import type { GitSourceDeps } from './git/index.ts';
import { createHttpSource } from './http/index.ts';
import type { HttpSourceDeps } from './http/index.ts';
import { createImageSource } from './image.ts';
import type { ImageDeps } from './image-origin.ts';
import { createLocalSource } from './local.ts';
import { createOciLayoutSource } from './oci-layout.ts';
import type { Source } from './types.ts';

export type * from './types.ts';
export { COMPATIBILITY_VALUE, CURRENT_COMPATIBILITY } from './compatibility.ts';
export { createBlobSource } from './blob.ts';
export { createHttpSource } from './http/index.ts';
export type { HttpSourceDeps } from './http/index.ts';
export { createImageSource } from './image.ts';
export { createLocalSource } from './local.ts';
export type { LocalSourceDeps } from './local.ts';
export { createOciLayoutSource } from './oci-layout.ts';
export { createReopenProvider } from './image-origin.ts';
export type { ImageDeps } from './image-origin.ts';
export { createMetaResolver } from './meta-resolver.ts';
export type { MetaOptions, MetaResolver } from './meta-resolver.ts';
export { createSessionAuth } from './session-auth.ts';

export interface SourcesDeps extends ImageDeps, HttpSourceDeps, GitSourceDeps {
  readonly hasher: TreeHasher;
}

/** All sources that there are, for a SourceSet. */
export function createSources(deps: SourcesDeps): readonly Source[] {
  return [
    createImageSource(deps),
    createOciLayoutSource(deps),
    createBlobSource(deps),
    createLocalSource(deps),
    createHttpSource(deps),
    createGitSource(deps),
  ];
}
