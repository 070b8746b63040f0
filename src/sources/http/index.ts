/**
 * Files from HTTP servers. In comes a URL with attributes, out goes a record with one file, kept and asked about again by its ETag.
 * Deliberately absent: connections and redirects (http/), archives (they are files here).
 */
export { createHttpSource, resolveHttpMeta } from './http.ts';
export type { ChecksumRequest, HttpMeta } from './http.ts';
export { parseFileAttrs } from './attributes.ts';
export type { FileAttrs } from './attributes.ts';
export { safeFileName } from './file-name.ts';
export { saveFile } from './save-file.ts';
export type { HttpSourceDeps } from './types.ts';
