/** What was asked of a frontend, as provenance tells it. */
import type { Credential, LocalMaterial, Sources } from './materials.ts';
import { redactCredentials } from './redact-url.ts';

/** By algorithm, in hexadecimal. */
export type DigestSet = ReadonlyMap<string, string>;

export interface ConfigSource {
  readonly uri?: string;
  readonly digest?: DigestSet;
  readonly path?: string;
}

export interface Parameters {
  readonly frontend: string;
  readonly args: ReadonlyMap<string, string>;
  readonly secrets?: readonly Credential[];
  readonly ssh?: readonly Credential[];
  readonly locals?: readonly Pick<LocalMaterial, 'name'>[];
  /** Requests that made the inputs, by their names. */
  readonly inputs?: ReadonlyMap<string, RequestFacts>;
  /** What the client asked for, where a frontend passed on something else. */
  readonly root?: RequestFacts;
  readonly compatibilityVersion?: number;
}

export interface RequestFacts {
  readonly configSource: ConfigSource;
  readonly request: Parameters;
}

/** A git URL of any form, taken apart: `remote`, and the same with `#ref:subdir`. undefined for what is none. */
export type ReadGitUrl = (text: string) => { readonly source: string; readonly config: string } | undefined;

/** Options that say something of the machine, not of the build. */
const HOST_SPECIFIC = new Set(['cgroup-parent', 'image-resolve-mode', 'platform', 'cache-imports']);
const CONTEXT = 'context';

/** The options of a request that are told, with the credentials in contexts masked. */
export function requestArgs(options: ReadonlyMap<string, string>): Map<string, string> {
  const contextKey = options.get('contextkey') || CONTEXT;
  const told = [...options].filter(([key]) => !HOST_SPECIFIC.has(key) && !key.startsWith('attest:'));
  return new Map(
    told.map(([key, value]) => [
      key,
      key === contextKey || key.startsWith(`${CONTEXT}:`) ? redactCredentials(value) : value,
    ]),
  );
}

export function commitDigest(commit: string): DigestSet {
  return new Map([[commit.length === 64 ? 'sha256' : 'sha1', commit]]);
}

export function digestSet(digest: string): DigestSet {
  const colon = digest.indexOf(':');
  return new Map([[digest.slice(0, colon), digest.slice(colon + 1)]]);
}

function contextSource(context: string, sources: Sources, readGitUrl: ReadGitUrl): ConfigSource {
  const git = readGitUrl(context);
  const source = git?.source ?? context;
  const repository = sources.git.find((g) => g.url === source);
  if (repository !== undefined) return { uri: git?.config ?? context, digest: commitDigest(repository.commit) };
  const file = sources.http.find((h) => h.url === source);
  if (file !== undefined) return { uri: file.url, digest: digestSet(file.digest) };
  return { uri: context };
}

/** Takes where the build's definition came from out of the options. */
export function describeRequest(
  frontend: string,
  options: ReadonlyMap<string, string>,
  sources: Sources,
  readGitUrl: ReadGitUrl,
): RequestFacts {
  const args = new Map(options);
  let contextKey = CONTEXT;
  if (args.get('contextkey')) contextKey = args.get('contextkey') as string;
  else if (args.get('input:context')) contextKey = 'input:context';

  let configSource: ConfigSource = {};
  const context = args.get(contextKey) ?? '';
  if (context !== '') {
    const found = contextSource(context, sources, readGitUrl);
    configSource = { ...found, uri: redactCredentials(found.uri ?? '') };
    args.delete(contextKey);
  }
  const path = args.get('filename') ?? '';
  if (path !== '') {
    configSource = { ...configSource, path };
    args.delete('filename');
  }
  return { configSource, request: { frontend, args } };
}
