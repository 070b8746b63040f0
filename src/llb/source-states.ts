/** States that start somewhere: an image, a client's directory, a repository, a download. */
import { posix } from 'node:path';
import { invalidArgument } from '../base/index.ts';
import { goJson, normalizeReference, parseReference, formatReference } from '../oci/index.ts';
import type { ConstraintOptions } from './constraints.ts';
import { gitIdentifier, parseGitUrl } from './git-url.ts';
import type { GitUrl } from './git-url.ts';
import { SourceVertex } from './source-vertex.ts';
import { State } from './state.ts';

class Attributes {
  readonly attrs = new Map<string, string>();
  readonly caps: string[] = [];

  set(key: string, value: string | undefined, cap?: string): this {
    if (value === undefined || value === '') return this;
    this.attrs.set(key, value);
    if (cap !== undefined) this.caps.push(cap);
    return this;
  }

  state(identifier: string, cap: string, options: ConstraintOptions): State {
    return State.fromOutput(new SourceVertex(identifier, this.attrs, [...this.caps, cap], options).output);
  }
}

export interface ImageOptions extends ConstraintOptions {
  readonly resolveMode?: 'default' | 'pull' | 'local';
  readonly recordType?: 'regular' | 'internal' | 'frontend';
  readonly layerLimit?: number;
  /** The digest that the reference must resolve to. */
  readonly checksum?: string;
}

/** Throws InvalidArgument when `ref` is no image reference. */
export function image(ref: string, options: ImageOptions = {}): State {
  const { resolveMode, recordType, layerLimit, checksum } = options;
  return new Attributes()
    .set(
      'image.resolvemode',
      resolveMode === 'default' ? undefined : resolveMode,
      resolveMode === 'pull' ? 'source.image.resolvemode' : undefined,
    )
    .set('image.recordtype', recordType)
    .set('image.layerlimit', layerLimit?.toString(), 'source.image.layerlimit')
    .set('image.checksum', checksum, 'source.image.checksum')
    .state(`docker-image://${normalizeReference(ref)}`, 'source.image', options);
}

/** A source op of that very identifier and attributes. */
export function source(identifier: string, attrs: ReadonlyMap<string, string>, caps: readonly string[]): State {
  return State.fromOutput(new SourceVertex(identifier, attrs, caps, {}).output);
}

export interface LocalOptions extends ConstraintOptions {
  readonly sessionId?: string;
  readonly includePatterns?: readonly string[];
  readonly excludePatterns?: readonly string[];
  readonly followPaths?: readonly string[];
  readonly sharedKeyHint?: string;
  readonly differ?: { readonly type: 'none' | 'metadata'; readonly required?: boolean };
  /** Names and attributes only, but for these paths. */
  readonly metadataOnly?: { readonly exceptions?: readonly string[] };
}

const list = (values: readonly string[] | undefined): string | undefined =>
  values === undefined || values.length === 0 ? undefined : goJson(values);

export function local(name: string, options: LocalOptions = {}): State {
  const { differ, metadataOnly } = options;
  return new Attributes()
    .set('local.session', options.sessionId, 'source.local.sessionid')
    .set('local.includepattern', list(options.includePatterns), 'source.local.includepatterns')
    .set('local.followpaths', list(options.followPaths), 'source.local.followpaths')
    .set('local.excludepatterns', list(options.excludePatterns), 'source.local.excludepatterns')
    .set('local.sharedkeyhint', options.sharedKeyHint, 'source.local.sharedkeyhint')
    .set('local.differ', differ?.type, differ?.required ? 'source.local.differ' : undefined)
    .set('local.metadatatransfer', metadataOnly && 'true', 'source.local.metadatatransfer')
    .set('local.metadatatransferexclude', list(metadataOnly?.exceptions))
    .state(`local://${name}`, 'source.local', options);
}

export interface OciLayoutOptions extends ConstraintOptions {
  readonly sessionId?: string;
  readonly storeId?: string;
  readonly layerLimit?: number;
}

export function ociLayout(ref: string, options: OciLayoutOptions = {}): State {
  return new Attributes()
    .set('oci.session', options.sessionId)
    .set('oci.store', options.storeId)
    .set('oci.layerlimit', options.layerLimit?.toString())
    .state(`oci-layout://${ref}`, 'source.ocilayout', options);
}

export interface FileNameOptions {
  readonly filename?: string;
  readonly perm?: number;
  readonly uid?: number;
  readonly gid?: number;
}

const octal = (perm: number | undefined): string | undefined => (perm ? `0${(perm & 0o777).toString(8)}` : undefined);
const id = (value: number | undefined): string | undefined => (value ? String(value) : undefined);

export interface ImageBlobOptions extends ConstraintOptions, FileNameOptions {
  /** For blobs of a client's OCI layout. */
  readonly sessionId?: string;
  readonly storeId?: string;
}

function blob(scheme: string, ref: string, options: ImageBlobOptions): State {
  const parsed = parseReference(ref);
  if (parsed.tag !== undefined) throw invalidArgument('tagged image reference not allowed for blob reference');
  if (parsed.digest === undefined) throw invalidArgument('checksum required in blob reference');
  return new Attributes()
    .set('http.filename', options.filename)
    .set('http.perm', octal(options.perm))
    .set('http.uid', id(options.uid))
    .set('http.gid', id(options.gid))
    .set('oci.session', options.sessionId)
    .set('oci.store', options.storeId)
    .state(`${scheme}://${formatReference(parsed)}`, 'source.imageblob', options);
}

/** One blob of a registry as a file. */
export function imageBlob(ref: string, options: Omit<ImageBlobOptions, 'sessionId' | 'storeId'> = {}): State {
  return blob('docker-image+blob', ref, options);
}

export function ociLayoutBlob(ref: string, options: ImageBlobOptions = {}): State {
  return blob('oci-layout+blob', ref, options);
}

export interface GitOptions extends ConstraintOptions {
  readonly ref?: string;
  readonly subdir?: string;
  readonly keepGitDir?: boolean;
  readonly authTokenSecret?: string;
  readonly authHeaderSecret?: string;
  readonly knownSshHosts?: string;
  readonly mountSshSock?: string;
  readonly checksum?: string;
  readonly skipSubmodules?: boolean;
  readonly mtime?: 'checkout' | 'commit';
  readonly fetchByCommit?: boolean;
  readonly bundle?: string;
  readonly bundleSessionId?: string;
  readonly bundleStoreId?: string;
  readonly checkoutBundle?: boolean;
}

/** `fragment` is `ref[:subdir]`, as it follows `#` in a URL; the options come after it. */
export function git(url: string, fragment = '', options: GitOptions = {}): State {
  let remote: GitUrl | undefined;
  let full = url;
  try {
    remote = parseGitUrl(url);
    if (remote === undefined) remote = parseGitUrl((full = `https://${url}`));
  } catch {
    // Said by the daemon, when it comes to it.
  }
  full = remote?.remote ?? full;
  const [fragmentRef, ...rest] = fragment.split(':');
  const ref = options.ref || fragmentRef;
  const subdir = options.subdir || posix.join('/', rest.join(':')).replace(/^\/|\/$/g, '');
  const flag = (on: boolean | undefined): string | undefined => (on ? 'true' : undefined);
  const auth = (given: string | undefined): string | undefined =>
    given === undefined ? undefined : 'source.git.httpauth';
  const attributes = new Attributes()
    .set('git.keepgitdir', flag(options.keepGitDir), 'source.git.keepgitdir')
    .set('git.fullurl', full, 'source.git.fullurl')
    .set('git.authtokensecret', options.authTokenSecret ?? 'GIT_AUTH_TOKEN', auth(options.authTokenSecret))
    .set('git.authheadersecret', options.authHeaderSecret ?? 'GIT_AUTH_HEADER', auth(options.authHeaderSecret));
  if (remote?.scheme === 'ssh') {
    attributes.caps.push('source.git.knownsshhosts');
    attributes
      .set('git.knownsshhosts', options.knownSshHosts)
      .set('git.mountsshsock', options.mountSshSock ?? 'default', 'source.git.mountsshsock');
  }
  return attributes
    .set('git.checksum', options.checksum, 'source.git.checksum')
    .set('git.skipsubmodules', flag(options.skipSubmodules), 'source.git.skipsubmodules')
    .set('git.mtime', options.mtime, 'source.git.mtime')
    .set('git.fetchbycommit', flag(options.fetchByCommit), 'source.git.fetchbycommit')
    .set('git.bundle', options.bundle, 'source.git.bundle')
    .set('oci.session', options.bundleSessionId)
    .set('oci.store', options.bundleStoreId)
    .set('git.checkoutbundle', flag(options.checkoutBundle), 'source.git.checkoutbundle')
    .state(gitIdentifier(full, ref, subdir), 'source.git', options);
}

export interface HttpOptions extends ConstraintOptions, FileNameOptions {
  readonly checksum?: string;
  readonly authHeaderSecret?: string;
  readonly header?: { readonly accept?: string; readonly userAgent?: string };
  readonly signature?: { readonly pubKey: string; readonly signature: string };
}

export function http(url: string, options: HttpOptions = {}): State {
  const { header, signature } = options;
  const attributes = new Attributes()
    .set('http.checksum', options.checksum, 'source.http.checksum')
    .set('http.filename', options.filename)
    .set('http.perm', octal(options.perm), 'source.http.perm')
    .set('http.uid', id(options.uid), 'soruce.http.uidgid')
    .set('http.gid', id(options.gid), 'soruce.http.uidgid')
    .set('http.authheadersecret', options.authHeaderSecret, 'source.http.auth')
    .set('http.header.accept', header?.accept)
    .set('http.header.user-agent', header?.userAgent)
    .set('http.sig.pubkey', signature?.pubKey)
    .set('http.sig.signature', signature?.signature);
  if (header !== undefined) attributes.caps.push('source.http.header');
  if (signature !== undefined) attributes.caps.push('source.http.signatureverify');
  return attributes.state(url, 'source.http', options);
}
