/**
 * LLB: build graphs as values. The State builder makes definitions; ops are encoded, checked and named here, and the capability
 * lists say what of it this version knows. Deliberately absent: running any of it (ops/), and turning definitions into vertices (build/).
 */
export type * from './result.ts';
export { FRONTEND_CAPS, isKnownLlbCap, LLB_CAPS } from './caps.ts';
export type { ApiCap } from './caps.ts';
export { encodeOp } from './encode-op.ts';
export { validateOp } from './validate-op.ts';
export { vertexName } from './vertex-name.ts';
export { decodeDefinition, encodeDefinition, headDigest } from './definition.ts';
export { platformFromPb, platformToPb } from './constraints.ts';
export type { ConstraintOptions, MarshalOptions } from './constraints.ts';
export type { SourceLocation, SourceMap } from './source-map.ts';
export { diff, ExecState, merge, scratch, State } from './state.ts';
export type { RunMount, RunOptions } from './state.ts';
export type { MountOptions, ProxyEnvOptions, SecretOptions, SshOptions } from './exec-vertex.ts';
export type { NetworkMode, SecurityModeName, Ulimit } from './state-values.ts';
export { copy, FileAction, mkdir, mkfile, owner, rm, symlink } from './file-action.ts';
export type {
  BoundAction,
  CopyOptions,
  CopySource,
  MkdirOptions,
  NodeOptions,
  Owner,
  RmOptions,
} from './file-action.ts';
export { git, http, image, imageBlob, local, ociLayout, ociLayoutBlob, source } from './source-states.ts';
export type {
  GitOptions,
  HttpOptions,
  ImageBlobOptions,
  ImageOptions,
  LocalOptions,
  OciLayoutOptions,
} from './source-states.ts';
export { gitIdentifier, isGitTransport, parseGitUrl, redactCredentials } from './git-url.ts';
export type { GitUrl } from './git-url.ts';
export { splitShell } from './shell-words.ts';
export { sourceInfoJson } from './source-json.ts';
export { definitionJson, locationsJson, opJson, opMetadataJson } from './op-json.ts';
export { protoJson } from './proto-json.ts';
export type { AttestationChain, SourceDescription, SourceMeta } from './source-description.ts';
