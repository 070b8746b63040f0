/** The frontend's options, checked: what `docker build` and `buildctl --opt` pass. */
import { isIP } from 'node:net';
import { parseAttestationRequests, parseSbomOptions } from '../../attest/index.ts';
import type { SbomOptions } from '../../attest/index.ts';
import {
  checkOsVersion,
  formatReference,
  defaultPlatform,
  normalizePlatform,
  parsePlatform,
  parseReference,
  withDefaultTag,
} from '../../oci/index.ts';
import type { Platform } from '../../oci/index.ts';
import type { NetworkMode } from '../../llb/index.ts';
import type { BuildOpts, GatewaySolveRequest } from '../types.ts';
import { cut, parseBool, parseCsv } from './go-text.ts';
import { parseLintConfig } from './lint/index.ts';
import type { LintConfig } from './lint/index.ts';
import { prefixError, textError } from './located-error.ts';
import { parseResources, parseUlimits } from './resources.ts';
import type { Resources, Ulimit } from './resources.ts';

export type ResolveMode = 'default' | 'pull' | 'local';

export interface HostIp {
  readonly host: string;
  readonly ip: string;
}

export interface Options {
  readonly raw: ReadonlyMap<string, string>;
  readonly buildArgs: ReadonlyMap<string, string>;
  readonly labels: ReadonlyMap<string, string>;
  readonly target: string;
  readonly cacheNamespace: string;
  readonly cgroupParent: string;
  readonly hostname: string;
  readonly extraHosts: readonly HostIp[];
  readonly resolveMode: ResolveMode;
  readonly network: NetworkMode;
  readonly shmSize: bigint;
  readonly ulimits: readonly Ulimit[];
  readonly resources: Resources | undefined;
  readonly lint: LintConfig | undefined;
  readonly sbom: SbomOptions | undefined;
  readonly cacheImports: NonNullable<GatewaySolveRequest['cacheImports']>;
  /** Empty: whatever the build platform is. */
  readonly targetPlatforms: readonly Platform[];
  readonly buildPlatform: Platform;
  readonly multiPlatform: boolean;
  /** Of the stage with that name; the empty one has none. */
  readonly noCache: (stage: string) => boolean;
  readonly sessionFor: (local: string) => string;
}

function withPrefix(raw: ReadonlyMap<string, string>, prefix: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const [key, value] of raw) if (key.startsWith(prefix)) found.set(key.slice(prefix.length), value);
  return found;
}

function wrapped<T>(what: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw textError(prefixError(error, what).message);
  }
}

/** Throws for what is no platform that could be built for. */
function targetPlatform(text: string): Platform {
  const platform = parsePlatform(text);
  checkOsVersion(platform);
  return normalizePlatform(platform);
}

function platforms(text: string): Platform[] {
  return text.split(',').map((p) => wrapped(`failed to parse target platform ${p}`, () => targetPlatform(p)));
}

function resolveMode(text: string): ResolveMode {
  if (text === '' || text === 'default') return 'default';
  if (text === 'pull' || text === 'local') return text;
  throw textError(`invalid image-resolve-mode: ${text}`);
}

function extraHosts(text: string): HostIp[] {
  if (text === '') return [];
  const fields = parseCsv(text);
  if (fields === undefined) throw textError('parse error: invalid quoting');
  return fields.map((field) => {
    const [host, ip, found] = cut(field.toLowerCase(), '=');
    if (!found) throw textError(`invalid key-value pair ${field}`);
    if (isIP(ip) === 0) throw textError(`failed to parse IP ${ip}`);
    return { host, ip };
  });
}

function shmSize(text: string): bigint {
  if (text === '') return 0n;
  if (!/^[+-]?\d{1,19}$/.test(text)) throw textError(`strconv.ParseInt: parsing "${text}": invalid syntax`);
  return BigInt(text);
}

function network(text: string): NetworkMode {
  if (text === 'none' || text === 'host') return text;
  if (text === '' || text === 'sandbox') return 'sandbox';
  throw textError(`invalid netmode ${text}`);
}

function isMultiPlatform(raw: ReadonlyMap<string, string>, targets: number): boolean {
  const text = raw.get('build-arg:BUILDKIT_MULTI_PLATFORM') || raw.get('multi-platform') || '';
  if (text === '') return targets > 1;
  const value = parseBool(text);
  if (value === undefined) throw textError(`invalid boolean value for multi-platform: ${text}`);
  if (!value && targets > 1) {
    throw textError('conflicting config: returning multiple target platforms is not allowed');
  }
  return value;
}

function cacheImports(raw: ReadonlyMap<string, string>): NonNullable<GatewaySolveRequest['cacheImports']> {
  const json = raw.get('cache-imports') ?? '';
  const imports: { type: string; attrs: ReadonlyMap<string, string> }[] = [];
  if (json !== '') {
    const list = wrapped(`failed to unmarshal cache-imports ("${json}")`, () => JSON.parse(json) as unknown);
    for (const entry of Array.isArray(list) ? (list as { Type?: unknown; Attrs?: unknown }[]) : []) {
      if (typeof entry?.Type !== 'string') throw textError(`failed to unmarshal cache-imports ("${json}")`);
      const attrs = Object.entries((entry.Attrs ?? {}) as Record<string, unknown>);
      imports.push({ type: entry.Type, attrs: new Map(attrs.map(([k, v]) => [k, String(v)])) });
    }
  }
  const refs = raw.get('cache-from') ?? '';
  if (refs !== '') {
    for (const ref of refs.split(',')) imports.push({ type: 'registry', attrs: new Map([['ref', ref]]) });
  }
  return imports;
}

function sbomOptions(raw: ReadonlyMap<string, string>): SbomOptions | undefined {
  const said = parseAttestationRequests(raw).get('sbom');
  return said && parseSbomOptions(said, 'sbom scanner');
}

/** Frontends have been asked for things that are gone; silence would mislead. */
function checkRemoved(raw: ReadonlyMap<string, string>): void {
  if ((raw.get('override-copy-image') ?? '') !== '') {
    throw textError('support for "override-copy-image" was removed in BuildKit 0.11');
  }
  if (parseBool(raw.get('build-arg:BUILDKIT_DISABLE_FILEOP') ?? '') === true) {
    throw textError('support for "BUILDKIT_DISABLE_FILEOP" build-arg was removed in BuildKit 0.11');
  }
}

/** Throws with upstream's texts. */
export function parseOptions(opts: BuildOpts): Options {
  const raw = opts.opts;
  checkRemoved(raw);
  const get = (key: string): string => raw.get(key) ?? '';
  const targets = get('platform') === '' ? [] : platforms(get('platform'));
  const noCache = raw.get('no-cache');
  const noCacheStages = noCache === undefined ? [] : noCache.toLowerCase().split(',');
  const sessions = withPrefix(raw, 'local-sessionid:');
  const check = raw.get('build-arg:BUILDKIT_DOCKERFILE_CHECK');
  return {
    raw,
    buildArgs: withPrefix(raw, 'build-arg:'),
    labels: withPrefix(raw, 'label:'),
    target: get('target'),
    cacheNamespace: get('build-arg:BUILDKIT_CACHE_MOUNT_NS'),
    cgroupParent: get('cgroup-parent'),
    hostname: get('build-arg:BUILDKIT_SANDBOX_HOSTNAME') || get('hostname'),
    extraHosts: wrapped('failed to parse additional hosts', () => extraHosts(get('add-hosts'))),
    resolveMode: resolveMode(get('image-resolve-mode')),
    network: network(get('force-network-mode')),
    shmSize: wrapped('failed to parse shm size', () => shmSize(get('shm-size'))),
    ulimits: wrapped('failed to parse ulimit', () => parseUlimits(get('ulimit'))),
    resources: wrapped('failed to parse resource limits', () => parseResources(raw)),
    lint:
      check === undefined
        ? undefined
        : wrapped('failed to parse build-arg:BUILDKIT_DOCKERFILE_CHECK', () => parseLintConfig(check)),
    sbom: sbomOptions(raw),
    cacheImports: cacheImports(raw),
    targetPlatforms: targets,
    buildPlatform: opts.workers[0]?.platforms[0] ?? normalizePlatform(defaultPlatform()),
    multiPlatform: isMultiPlatform(raw, targets.length),
    noCache: (stage) => noCache !== undefined && (noCache === '' || noCacheStages.includes(stage.toLowerCase())),
    sessionFor: (local) => sessions.get(local) ?? opts.sessionId,
  };
}

/** `docker.io/library/alpine:latest` for `alpine`. */
export function fullReference(text: string): string {
  return formatReference(withDefaultTag(parseReference(text)));
}
