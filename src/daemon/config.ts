/**
 * buildkitd.toml and the flags that override it, as one checked value. Keys, defaults and units are upstream's
 * (cmd/buildkitd/config): unknown keys are ignored there and here, wrong types are errors here.
 */
import { readFileSync } from 'node:fs';
import { parse } from 'smol-toml';
import { invalidArgument, wrapError } from '../base/index.ts';
import type { DiskSpace } from '../workers/index.ts';
import { Table } from './config-table.ts';
import { readLimits } from './limits-config.ts';
import type { LimitsConfig } from './limits-config.ts';

export interface TlsConfig {
  readonly cert: string;
  readonly key: string;
  readonly ca: string;
}

export interface GcPolicyConfig {
  readonly all: boolean;
  readonly filters: readonly string[];
  readonly keepDurationNs: bigint;
  readonly reservedSpace: DiskSpace | undefined;
  readonly maxUsedSpace: DiskSpace | undefined;
  readonly minFreeSpace: DiskSpace | undefined;
}

export interface RegistryConfig {
  readonly mirrors: readonly string[];
  readonly http?: boolean;
  readonly insecure?: boolean;
  readonly ca: readonly string[];
  readonly keypairs: readonly { key: string; cert: string }[];
  readonly tlsConfigDirs: readonly string[];
}

export interface OciWorkerConfig {
  readonly enabled: boolean | undefined;
  readonly labels: ReadonlyMap<string, string>;
  readonly platforms: readonly string[];
  readonly snapshotter: string;
  readonly networkMode: string;
  readonly cniConfigPath: string;
  readonly cniBinaryPath: string;
  readonly cniPoolSize: number;
  readonly bridgeName: string;
  readonly bridgeSubnet: string;
  readonly gc: boolean;
  readonly gcPolicy: readonly GcPolicyConfig[];
  readonly reservedSpace: DiskSpace | undefined;
  readonly maxUsedSpace: DiskSpace | undefined;
  readonly minFreeSpace: DiskSpace | undefined;
  readonly binary: string;
  readonly defaultCgroupParent: string;
  readonly apparmorProfile: string;
  readonly maxParallelism: number;
}

export interface DaemonConfig {
  readonly root: string;
  readonly debug: boolean;
  readonly trace: boolean;
  readonly logFormat: 'text' | 'json';
  readonly logLevel: string;
  readonly addresses: readonly string[];
  readonly debugAddress: string;
  readonly uid: number | undefined;
  readonly gid: number | undefined;
  readonly tls: TlsConfig;
  readonly entitlements: readonly string[];
  /** All builds get their network through a proxy. */
  readonly proxyNetwork: boolean;
  readonly cdi: {
    readonly disabled: boolean;
    readonly specDirs: readonly string[];
    readonly autoAllowed: readonly string[];
  };
  readonly dns:
    | {
        readonly nameservers: readonly string[];
        readonly options: readonly string[];
        readonly searchDomains: readonly string[];
      }
    | undefined;
  /** Where steps find OpenTelemetry's trace service; '' is `otel-grpc.sock` in the root. */
  readonly otelSocketPath: string;
  readonly history: { readonly maxAgeNs: bigint; readonly maxEntries: number };
  readonly frontends: {
    readonly dockerfile: boolean;
    readonly gateway: boolean;
    /** The only ones that frontends may come from; none is all. */
    readonly gatewayRepositories: readonly string[];
  };
  /** JSON files with fields that provenance tells of this machine. */
  readonly provenanceEnvDir: string;
  readonly maxRegistryConcurrency: number;
  readonly registries: ReadonlyMap<string, RegistryConfig>;
  readonly oci: OciWorkerConfig;
  readonly limits: LimitsConfig;
}

const CDI_DIRS = ['/etc/cdi', '/var/run/cdi', '/etc/buildkit/cdi'];
export const DEFAULT_ROOT = '/var/lib/buildkit';
export const DEFAULT_CONFIG = '/etc/buildkit/buildkitd.toml';
export const DEFAULT_PROVENANCE_ENV_DIR = '/etc/buildkit/provenance.d';
export const DEFAULT_ADDRESS = 'unix:///run/buildkit/buildkitd.sock';

function readGcPolicy(t: Table): GcPolicyConfig {
  return {
    all: t.bool('all') ?? false,
    filters: t.strings('filters'),
    keepDurationNs: t.durationNs('keepDuration') ?? 0n,
    reservedSpace: t.diskSpace('reservedSpace', 'keepBytes'),
    maxUsedSpace: t.diskSpace('maxUsedSpace'),
    minFreeSpace: t.diskSpace('minFreeSpace'),
  };
}

function readRegistry(t: Table): RegistryConfig {
  return {
    mirrors: t.strings('mirrors'),
    http: t.bool('http'),
    insecure: t.bool('insecure'),
    ca: t.strings('ca'),
    keypairs: t.tables('keypair').map((k) => ({ key: k.string('key') ?? '', cert: k.string('cert') ?? '' })),
    tlsConfigDirs: t.strings('tlsconfigdir'),
  };
}

function readCdi(t: Table): DaemonConfig['cdi'] {
  const dirs = t.strings('specDirs');
  return {
    disabled: t.bool('disabled') ?? false,
    specDirs: dirs.length === 0 ? CDI_DIRS : dirs,
    autoAllowed: t.strings('autoAllowed'),
  };
}

function readOciWorker(t: Table): OciWorkerConfig {
  return {
    enabled: t.bool('enabled'),
    labels: t.table('labels').stringMap(),
    platforms: t.strings('platforms'),
    snapshotter: t.string('snapshotter') ?? 'auto',
    networkMode: t.string('networkMode') ?? 'auto',
    cniConfigPath: t.string('cniConfigPath') ?? '/etc/buildkit/cni.json',
    cniBinaryPath: t.string('cniBinaryPath') ?? '/opt/cni/bin',
    cniPoolSize: t.int('cniPoolSize') ?? 0,
    bridgeName: t.string('bridgeName') ?? 'buildkit0',
    bridgeSubnet: t.string('bridgeSubnet') ?? '10.10.0.0/16',
    gc: t.bool('gc') ?? true,
    gcPolicy: t.tables('gcpolicy').map(readGcPolicy),
    reservedSpace: t.diskSpace('reservedSpace', 'gckeepstorage'),
    maxUsedSpace: t.diskSpace('maxUsedSpace'),
    minFreeSpace: t.diskSpace('minFreeSpace'),
    binary: t.string('binary') ?? '',
    defaultCgroupParent: t.string('defaultCgroupParent') ?? '',
    apparmorProfile: t.string('apparmor-profile') ?? '',
    maxParallelism: t.int('max-parallelism') ?? 0,
  };
}

function readDns(t: Table): DaemonConfig['dns'] {
  return {
    nameservers: t.strings('nameservers'),
    options: t.strings('options'),
    searchDomains: t.strings('searchDomains'),
  };
}

/** The text of a buildkitd.toml. Throws InvalidArgument with the key or line that is wrong. */
export function parseConfig(text: string): DaemonConfig {
  let raw: unknown;
  try {
    raw = parse(text);
  } catch (error) {
    throw wrapError(error, 'failed to load config');
  }
  const top = new Table(raw, '');
  const grpc = top.table('grpc');
  const tls = grpc.table('tls');
  const addresses = grpc.strings('address');
  const format = top.table('log').string('format') ?? 'text';
  if (format !== 'text' && format !== 'json' && format !== '') {
    throw invalidArgument(`unsupported log type ${JSON.stringify(format)}`);
  }
  const concurrency = top.table('system').int('maxRegistryConcurrency');
  if (concurrency !== undefined && concurrency <= 0) {
    throw invalidArgument(`invalid system.maxRegistryConcurrency ${concurrency}: must be greater than 0`);
  }
  const history = top.table('history');
  const root = top.string('root');
  return {
    root: root === undefined || root === '' ? DEFAULT_ROOT : root,
    debug: top.bool('debug') ?? false,
    trace: top.bool('trace') ?? false,
    logFormat: format === 'json' ? 'json' : 'text',
    logLevel: top.table('log').string('level') ?? '',
    addresses: addresses.length === 0 ? [DEFAULT_ADDRESS] : addresses,
    debugAddress: grpc.string('debugAddress') ?? '',
    uid: grpc.int('uid'),
    gid: grpc.int('gid'),
    tls: { cert: tls.string('cert') ?? '', key: tls.string('key') ?? '', ca: tls.string('ca') ?? '' },
    entitlements: top.strings('insecure-entitlements'),
    proxyNetwork: top.bool('proxyNetwork') ?? false,
    cdi: readCdi(top.table('cdi')),
    dns: top.has('dns') ? readDns(top.table('dns')) : undefined,
    otelSocketPath: top.table('otel').string('socketPath') ?? '',
    history: {
      maxAgeNs: history.durationNs('maxAge') ?? 48n * 3_600_000_000_000n,
      maxEntries: history.int('maxEntries') ?? 50,
    },
    frontends: {
      dockerfile: top.table('frontend').table('dockerfile.v0').bool('enabled') ?? true,
      gateway: top.table('frontend').table('gateway.v0').bool('enabled') ?? true,
      gatewayRepositories: top.table('frontend').table('gateway.v0').strings('allowedRepositories'),
    },
    provenanceEnvDir: top.string('provenanceEnvDir') || DEFAULT_PROVENANCE_ENV_DIR,
    maxRegistryConcurrency: concurrency ?? 4,
    registries: new Map(
      top
        .table('registry')
        .entries()
        .map(([host, t]) => [host, readRegistry(t)]),
    ),
    oci: readOciWorker(top.table('worker').table('oci')),
    limits: readLimits(top.table('limits')),
  };
}

/** A missing file is an empty one. */
export function loadConfig(path: string): DaemonConfig {
  let text = '';
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
      throw wrapError(error, `failed to load config from ${path}`);
  }
  return parseConfig(text);
}
