import { BuildError, Code, invalidArgument, wrapError } from '../../base/index.ts';
import { gitIdentifier, isGitTransport, parseGitUrl } from '../../llb/index.ts';
import { parseDigest } from '../../oci/index.ts';
import type { Digest } from '../../oci/index.ts';
import type { SourceRequest } from '../types.ts';
import { isCommitId } from './object-id.ts';
import type { BundleLocation } from './open-bundle.ts';

export interface SignaturePolicy {
  readonly pubKey: string;
  readonly rejectExpired: boolean;
  readonly requireSignedTag: boolean;
  readonly ignoreSignedTag: boolean;
}

/** What the attributes of a git source say. Texts that were not given are ''. */
export interface GitRequest {
  readonly remote: string;
  readonly ref: string;
  readonly subdir: string;
  /** A commit, or the beginning of one. */
  readonly checksum: string;
  readonly keepGitDir: boolean;
  readonly tokenSecret: string;
  readonly headerSecret: string;
  readonly agentId: string;
  readonly knownHosts: string;
  readonly skipSubmodules: boolean;
  readonly mtime: string;
  /** The checksum is the commit; the ref only names it. */
  readonly fetchByCommit: boolean;
  /** A bundle that stands for the remote. */
  readonly bundle?: BundleLocation;
  /** The result is a bundle, not a tree. */
  readonly checkoutBundle: boolean;
  readonly signature?: SignaturePolicy;
}

function parseBundle(text: string, attrs: ReadonlyMap<string, string>): BundleLocation {
  const at = text.indexOf('://');
  if (at < 0) throw invalidArgument(`failed to parse git.bundle locator ${JSON.stringify(text)}: missing scheme`);
  const [scheme, ref] = [text.slice(0, at), text.slice(at + 3)];
  if (scheme !== 'docker-image+blob' && scheme !== 'oci-layout+blob') {
    throw invalidArgument(
      `git.bundle locator scheme ${JSON.stringify(scheme)} is not supported; expected "docker-image+blob" or "oci-layout+blob"`,
    );
  }
  const digestAt = ref.lastIndexOf('@');
  let digest: Digest;
  try {
    digest = parseDigest(ref.slice(digestAt + 1));
  } catch (error) {
    throw wrapError(error, `failed to parse git.bundle locator ${JSON.stringify(text)}: invalid digest`);
  }
  const algorithm = digest.slice(0, digest.indexOf(':'));
  if (algorithm !== 'sha256') {
    throw invalidArgument(
      `git.bundle locator ${JSON.stringify(text)}: digest algorithm "${algorithm}" not supported, expected "sha256"`,
    );
  }
  return {
    scheme,
    ref,
    digest,
    sessionId: attrs.get('oci.session') ?? '',
    storeId: attrs.get('oci.store') || ref.slice(0, digestAt),
  };
}

function parseSignature(attrs: ReadonlyMap<string, string>): SignaturePolicy | undefined {
  const keys = ['pubkey', 'rejectexpired', 'requiresignedtag', 'ignoresignedtag'];
  if (!keys.some((key) => attrs.has(`git.sig.${key}`))) return undefined;
  const flag = (key: string): boolean => attrs.get(`git.sig.${key}`) === 'true';
  return {
    pubKey: attrs.get('git.sig.pubkey') ?? '',
    rejectExpired: flag('rejectexpired'),
    requireSignedTag: flag('requiresignedtag'),
    ignoreSignedTag: flag('ignoresignedtag'),
  };
}

function plainError(message: string): BuildError {
  return new BuildError(Code.Unknown, message);
}

export function checksumMismatch(expected: string, actual: string): BuildError {
  return plainError(`expected checksum to match ${expected}, got ${actual}`);
}

function check(request: GitRequest): void {
  const { ref, checksum, bundle } = request;
  // It would be an option of git.
  if (ref.startsWith('-')) throw invalidArgument(`invalid git ref ${JSON.stringify(ref)}`);
  if (bundle !== undefined) {
    if (checksum === '') throw invalidArgument('git.bundle requires git.checksum to be set');
    if (isCommitId(ref) && !ref.startsWith(checksum)) throw checksumMismatch(checksum, ref);
  }
  if (!request.checkoutBundle) return;
  if (request.keepGitDir) throw invalidArgument('git.checkoutbundle is incompatible with git.keepgitdir');
  if (request.subdir !== '') throw invalidArgument('git.checkoutbundle is incompatible with git.subdir');
}

/** Throws InvalidArgument. */
export function parseGit({ ref: text, attrs }: Pick<SourceRequest, 'ref' | 'attrs'>): GitRequest {
  const url = parseGitUrl(isGitTransport(text) ? text : `https://${text}`);
  if (url === undefined) throw invalidArgument('unknown protocol');
  const full = attrs.get('git.fullurl');
  const get = (key: string): string => attrs.get(`git.${key}`) ?? '';
  const flag = (key: string): boolean => get(key) === 'true';
  const bundle = get('bundle');
  const request: GitRequest = {
    remote: full === undefined ? url.remote : isGitTransport(full) ? full : `https://${full}`,
    ref: url.ref,
    subdir: url.subdir,
    checksum: get('checksum'),
    keepGitDir: flag('keepgitdir'),
    tokenSecret: get('authtokensecret'),
    headerSecret: get('authheadersecret'),
    agentId: get('mountsshsock'),
    knownHosts: get('knownsshhosts'),
    skipSubmodules: flag('skipsubmodules'),
    mtime: get('mtime'),
    fetchByCommit: flag('fetchbycommit'),
    ...(bundle === '' ? {} : { bundle: parseBundle(bundle, attrs) }),
    checkoutBundle: flag('checkoutbundle'),
    signature: parseSignature(attrs),
  };
  check(request);
  return request;
}

export function normalizeGit(request: GitRequest): string {
  return gitIdentifier(request.remote, request.ref, request.subdir);
}
