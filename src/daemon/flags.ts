/** buildkitd's flags (upstream's names, texts and defaults) and how each overrides the file. */
import { readFileSync } from 'node:fs';
import { flag, invalidArgument, notFound } from '../base/index.ts';
import type { CommandSpec, FlagSpec, ParsedFlags } from '../base/index.ts';
import { DEFAULT_ADDRESS, DEFAULT_CONFIG, DEFAULT_ROOT } from './config.ts';
import type { DaemonConfig } from './config.ts';

const PARALLELISM = 'limit the number of parallel build steps that can run at the same time';
const KEEP_STORAGE = 'Amount of storage GC keep locally, format "Reserved[,Free[,Maximum]]" (MB)';

/** Accepted for compatibility; the containerd worker is refused when it is asked for (see {@link applyFlags}). */
const containerdFlags: readonly FlagSpec[] = [
  flag('string', 'containerd-worker', 'enable containerd workers (true/false/auto)', { default: 'auto' }),
  flag('string', 'containerd-worker-addr', 'containerd socket', { default: '/run/containerd/containerd.sock' }),
  flag('list', 'containerd-worker-labels', 'user-specific annotation labels (com.example.foo=bar)'),
  flag('string', 'containerd-worker-net', 'worker network type (auto, bridge, cni or host)', { default: 'auto' }),
  flag('string', 'containerd-cni-config-path', 'path of cni config file', { default: '/etc/buildkit/cni.json' }),
  flag('string', 'containerd-cni-binary-dir', 'path of cni binary files', { default: '/opt/cni/bin' }),
  flag('int', 'containerd-cni-pool-size', 'size of cni network namespace pool', { default: '0' }),
  flag('string', 'containerd-worker-snapshotter', 'snapshotter name to use', { default: 'overlayfs' }),
  flag('string', 'containerd-worker-apparmor-profile', 'set the name of the apparmor profile applied to containers'),
  flag('bool', 'containerd-worker-selinux', 'apply SELinux labels'),
  flag('int', 'containerd-max-parallelism', PARALLELISM, { default: '0' }),
  flag('bool', 'containerd-worker-rootless', 'enable rootless mode'),
  flag('bool', 'containerd-worker-gc', 'Enable automatic garbage collection on worker'),
  flag('string', 'containerd-worker-gc-keepstorage', KEEP_STORAGE, { default: '2000,2000,2000' }),
];

export const buildkitdFlags: readonly FlagSpec[] = [
  flag('bool', 'rootless', 'set all the default options to be compatible with rootless containers'),
  flag('string', 'config', 'path to config file', { default: DEFAULT_CONFIG }),
  flag('bool', 'debug', 'enable debug output in logs'),
  flag('bool', 'trace', 'enable trace output in logs (highly verbose, could affect performance)', { hidden: true }),
  flag('string', 'root', 'path to state directory', { default: DEFAULT_ROOT }),
  flag('list', 'addr', 'listening address (socket or tcp)', { default: DEFAULT_ADDRESS }),
  flag('string', 'log-format', 'log formatter: json or text', { default: 'text' }),
  flag('string', 'log-level', 'set the log level', { default: 'info', env: 'BUILDKITD_LOG_LEVEL' }),
  flag('string', 'group', 'group (name or gid) which will own all Unix socket listening addresses'),
  flag('string', 'debugaddr', 'debugging address (eg. 0.0.0.0:6060)', { env: 'BUILDKITD_DEBUGADDR' }),
  flag('string', 'tlscert', 'certificate file to use'),
  flag('string', 'tlskey', 'key file to use'),
  flag('string', 'tlscacert', 'ca certificate to verify clients'),
  flag(
    'list',
    'allow-insecure-entitlement',
    'allows insecure entitlements e.g. network.host, security.insecure, device',
  ),
  flag('bool', 'proxy-network', 'enable proxy network enforcement for all builds'),
  flag('string', 'otel-socket-path', 'OTEL collector trace socket path'),
  flag('bool', 'cdi-disabled', 'disables support of the Container Device Interface (CDI)'),
  flag('list', 'cdi-spec-dir', 'list of directories to scan for CDI spec files'),
  flag('bool', 'save-cache-debug', 'enable saving cache debug info'),
  ...containerdFlags,
  flag('string', 'oci-worker', 'enable oci workers (true/false/auto)', { default: 'auto' }),
  flag('list', 'oci-worker-labels', 'user-specific annotation labels (com.example.foo=bar)'),
  flag('string', 'oci-worker-snapshotter', 'name of snapshotter (overlayfs, native, etc.)', { default: 'auto' }),
  flag(
    'string',
    'oci-worker-proxy-snapshotter-path',
    "address of proxy snapshotter socket (do not include 'unix://' prefix)",
  ),
  flag('list', 'oci-worker-platform', 'override supported platforms for worker'),
  flag('string', 'oci-worker-net', 'worker network type (auto, bridge, cni or host)', { default: 'auto' }),
  flag('string', 'oci-cni-config-path', 'path of cni config file', { default: '/etc/buildkit/cni.json' }),
  flag('string', 'oci-cni-binary-dir', 'path of cni binary files', { default: '/opt/cni/bin' }),
  flag('int', 'oci-cni-pool-size', 'size of cni network namespace pool', { default: '0' }),
  flag('string', 'oci-worker-binary', 'name of specified oci worker binary'),
  flag('string', 'oci-worker-apparmor-profile', 'set the name of the apparmor profile applied to containers'),
  flag('bool', 'oci-worker-selinux', 'apply SELinux labels'),
  flag('int', 'oci-max-parallelism', PARALLELISM, { default: '0' }),
  flag('bool', 'oci-worker-rootless', 'enable rootless mode'),
  flag(
    'bool',
    'oci-worker-no-process-sandbox',
    'use the host PID namespace and procfs (WARNING: allows build containers to kill (and potentially ptrace) an arbitrary process in the host namespace)',
  ),
  flag('bool', 'oci-worker-gc', 'Enable automatic garbage collection on worker'),
  flag('string', 'oci-worker-gc-keepstorage', KEEP_STORAGE, { default: '2000,2000,2000' }),
];

export const buildkitdCommand: CommandSpec = { name: 'buildkitd', usage: 'build daemon', flags: buildkitdFlags };

const UNSUPPORTED: readonly (readonly [string, string])[] = [
  ['rootless', 'rootless mode'],
  ['oci-worker-rootless', 'rootless mode'],
  ['oci-worker-no-process-sandbox', '--oci-worker-no-process-sandbox'],
  ['oci-worker-proxy-snapshotter-path', 'proxy snapshotters'],
  ['oci-worker-selinux', 'SELinux labels'],
];

function megabytes(text: string, flagName: string): { bytes: number } | undefined {
  if (!/^\d+$/.test(text)) throw invalidArgument(`invalid value ${JSON.stringify(text)} for flag ${flagName}`);
  return Number(text) === 0 ? undefined : { bytes: Number(text) * 1e6 };
}

function keyValue(text: string): readonly [string, string] {
  const at = text.indexOf('=');
  if (at < 0) throw invalidArgument(`invalid label format ${text}: expected key=value`);
  return [text.slice(0, at), text.slice(at + 1)];
}

/** The file's values with the flags that were given over them. Throws for what this daemon does not do, rather than ignore it. */
export function applyFlags(config: DaemonConfig, flags: ParsedFlags): DaemonConfig {
  for (const [name, what] of UNSUPPORTED) {
    if (flags.isSet(name) && flags.string(name) !== 'false')
      throw invalidArgument(`${what}: not supported by this daemon`);
  }
  if (flags.isSet('containerd-worker') && flags.string('containerd-worker') === 'true') {
    throw invalidArgument('the containerd worker is not supported by this daemon');
  }
  const text = (name: string, value: string): string => (flags.isSet(name) ? flags.string(name) : value);
  const format = text('log-format', config.logFormat);
  if (format !== 'text' && format !== 'json') throw invalidArgument(`unsupported log type ${JSON.stringify(format)}`);
  let oci = config.oci;
  if (flags.isSet('oci-worker')) {
    const value = flags.string('oci-worker');
    if (!['auto', 'true', 'false'].includes(value)) throw invalidArgument(`invalid value ${value} for --oci-worker`);
    if (value !== 'auto') oci = { ...oci, enabled: value === 'true' };
  }
  if (flags.isSet('oci-worker-labels')) {
    oci = { ...oci, labels: new Map([...oci.labels, ...flags.list('oci-worker-labels').map(keyValue)]) };
  }
  if (flags.isSet('oci-worker-platform')) oci = { ...oci, platforms: flags.list('oci-worker-platform') };
  if (flags.isSet('oci-worker-gc')) oci = { ...oci, gc: flags.bool('oci-worker-gc') };
  if (flags.isSet('oci-worker-gc-keepstorage')) {
    const name = 'oci-worker-gc-keepstorage';
    const [reserved, free, max] = flags.string(name).split(',');
    oci = {
      ...oci,
      reservedSpace: megabytes(reserved, name),
      minFreeSpace: free === undefined ? undefined : megabytes(free, name),
      maxUsedSpace: max === undefined ? undefined : megabytes(max, name),
    };
  }
  oci = {
    ...oci,
    snapshotter: text('oci-worker-snapshotter', oci.snapshotter),
    networkMode: text('oci-worker-net', oci.networkMode),
    cniConfigPath: text('oci-cni-config-path', oci.cniConfigPath),
    cniBinaryPath: text('oci-cni-binary-dir', oci.cniBinaryPath),
    cniPoolSize: flags.isSet('oci-cni-pool-size') ? flags.int('oci-cni-pool-size') : oci.cniPoolSize,
    binary: text('oci-worker-binary', oci.binary),
    apparmorProfile: text('oci-worker-apparmor-profile', oci.apparmorProfile),
    maxParallelism: flags.isSet('oci-max-parallelism') ? flags.int('oci-max-parallelism') : oci.maxParallelism,
  };
  return {
    ...config,
    root: text('root', config.root),
    debug: config.debug || flags.bool('debug'),
    trace: config.trace || flags.bool('trace'),
    logFormat: format,
    logLevel: text('log-level', config.logLevel),
    addresses: flags.isSet('addr') ? flags.list('addr') : config.addresses,
    debugAddress: text('debugaddr', config.debugAddress),
    tls: {
      cert: text('tlscert', config.tls.cert),
      key: text('tlskey', config.tls.key),
      ca: text('tlscacert', config.tls.ca),
    },
    entitlements: flags.isSet('allow-insecure-entitlement')
      ? [...config.entitlements, ...flags.list('allow-insecure-entitlement')]
      : config.entitlements,
    proxyNetwork: flags.isSet('proxy-network') ? flags.bool('proxy-network') : config.proxyNetwork,
    cdi: {
      ...config.cdi,
      disabled: flags.isSet('cdi-disabled') ? flags.bool('cdi-disabled') : config.cdi.disabled,
      specDirs: flags.isSet('cdi-spec-dir') ? flags.list('cdi-spec-dir') : config.cdi.specDirs,
    },
    otelSocketPath: text('otel-socket-path', config.otelSocketPath),
    gid: flags.isSet('group') ? groupId(flags.string('group')) : config.gid,
    oci,
  };
}

/** A group's number, looked up in /etc/group where it is a name. */
function groupId(group: string): number {
  if (/^\d+$/.test(group)) return Number(group);
  const line = readFileSync('/etc/group', 'utf8')
    .split('\n')
    .find((l) => l.startsWith(`${group}:`));
  if (line === undefined) throw notFound(`group: unknown group ${group}`);
  return Number(line.split(':')[2]);
}
