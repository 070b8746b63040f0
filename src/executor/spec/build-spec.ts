import type { LinuxResources } from '../types.ts';
import type { ContainerEdits } from '../cdi/index.ts';
import { SANDBOX_CAPABILITIES } from './capabilities.ts';
import { hostFacts } from './host-facts.ts';
import type { HostFacts } from './host-facts.ts';
import { deviceEnvironment, deviceHooks, deviceNodes } from './device-edits.ts';
import type { DeviceAccess, OciHook } from './device-edits.ts';
import { insecureDevices } from './devices.ts';
import type { OciDevice } from './devices.ts';
import { defaultMounts, joinMounts } from './mounts.ts';
import type { OciMount, SpecMount } from './mounts.ts';
import { linuxLimits } from './resources.ts';
import type { OciLimits } from './resources.ts';
import { rlimit } from './rlimits.ts';
import type { OciRlimit } from './rlimits.ts';
import { defaultSeccomp } from './seccomp.ts';
import type { SeccompProfile } from './seccomp.ts';

export type SpecNetwork =
  | { readonly kind: 'host' }
  /** A namespace of its own with nothing but a loopback that is down. */
  | { readonly kind: 'none' }
  /** A namespace that someone has prepared. */
  | { readonly kind: 'path'; readonly path: string };

export interface SpecInput {
  readonly args: readonly string[];
  readonly env: readonly string[];
  readonly cwd: string;
  readonly uid: number;
  readonly gid: number;
  readonly additionalGids: readonly number[];
  readonly rootPath: string;
  readonly readonlyRootfs: boolean;
  /** '' is `buildkitsandbox`. */
  readonly hostname: string;
  readonly terminal: boolean;
  readonly mounts: readonly SpecMount[];
  readonly network: SpecNetwork;
  readonly security: 'sandbox' | 'insecure';
  readonly ulimits: readonly { readonly name: string; readonly soft: number; readonly hard: number }[];
  /** '' leaves the choice to the runtime. */
  readonly cgroupsPath: string;
  readonly resources?: LinuxResources;
  /** Of devices of the host. */
  readonly deviceEdits?: ContainerEdits;
}

interface DeviceRule {
  readonly allow: boolean;
  readonly type?: 'c' | 'b';
  readonly access: 'rwm';
}

export interface OciSpec {
  readonly ociVersion: string;
  readonly process: {
    readonly terminal: boolean;
    readonly user: { readonly uid: number; readonly gid: number; readonly additionalGids: readonly number[] };
    readonly args: readonly string[];
    readonly env: readonly string[];
    readonly cwd: string;
    readonly capabilities: Readonly<Record<string, readonly string[]>>;
    readonly rlimits?: readonly OciRlimit[];
    readonly noNewPrivileges: boolean;
  };
  readonly root: { readonly path: string; readonly readonly: boolean };
  readonly hostname: string;
  readonly mounts: readonly OciMount[];
  readonly hooks?: Readonly<Record<string, readonly OciHook[]>>;
  readonly linux: {
    readonly resources: OciLimits & { readonly devices: readonly (DeviceRule | DeviceAccess)[] };
    readonly cgroupsPath?: string;
    readonly namespaces: readonly { readonly type: string; readonly path?: string }[];
    readonly devices?: readonly OciDevice[];
    readonly seccomp?: SeccompProfile;
    readonly maskedPaths: readonly string[];
    readonly readonlyPaths: readonly string[];
  };
}

const NO_EDITS: ContainerEdits = { env: [], deviceNodes: [], mounts: [], hooks: [], additionalGids: [] };
const DEFAULT_HOSTNAME = 'buildkitsandbox';
const DEFAULT_PATH = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const DEFAULT_TERM = 'TERM=xterm';

/** Files through which a process would read about, or reach, the host. */
const MASKED_PATHS = [
  '/proc/acpi',
  '/proc/asound',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/proc/sched_debug',
  '/sys/firmware',
  '/sys/devices/virtual/powercap',
  '/proc/scsi',
];
const READONLY_PATHS = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'];

/** `facts` defaults to this host's; a function of its arguments alone otherwise. The result is for JSON.stringify. */
export function buildSpec(input: SpecInput, facts: HostFacts = hostFacts()): OciSpec {
  const insecure = input.security === 'insecure';
  const edits = input.deviceEdits ?? NO_EDITS;
  const lent = deviceNodes(edits);
  const devices = [...(insecure && !facts.inUserNamespace ? insecureDevices(facts.freeLoop) : []), ...lent.devices];
  const hooks = deviceHooks(edits);
  const lentMounts = edits.mounts.map(({ hostPath, containerPath, type, options }) => ({
    source: hostPath,
    destination: containerPath,
    options,
    ...(type === undefined ? {} : { type }),
  }));
  return {
    ociVersion: '1.0.2',
    process: processOf(input, edits, facts),
    root: { path: input.rootPath, readonly: input.readonlyRootfs },
    hostname: input.hostname === '' ? DEFAULT_HOSTNAME : input.hostname,
    mounts: joinMounts(defaultMounts(insecure), [...input.mounts, ...lentMounts]),
    ...(hooks === undefined ? {} : { hooks }),
    linux: {
      resources: {
        // The runtime itself opens the harmless ones (null, zero, tty, …) again after a "deny all".
        devices: [
          ...(insecure
            ? ([
                { allow: true, type: 'c', access: 'rwm' },
                { allow: true, type: 'b', access: 'rwm' },
              ] as const)
            : ([{ allow: false, access: 'rwm' }] as const)),
          ...lent.access,
        ],
        ...linuxLimits(input.resources, facts.cgroup),
      },
      ...(input.cgroupsPath === '' ? {} : { cgroupsPath: input.cgroupsPath }),
      namespaces: namespaces(input.network, facts),
      ...(devices.length > 0 ? { devices } : {}),
      ...(!insecure && facts.seccomp ? { seccomp: defaultSeccomp({ ...facts, bounding: SANDBOX_CAPABILITIES }) } : {}),
      maskedPaths: insecure ? [] : MASKED_PATHS,
      readonlyPaths: insecure ? [] : READONLY_PATHS,
    },
  };
}

function processOf(input: SpecInput, edits: ContainerEdits, facts: HostFacts): OciSpec['process'] {
  return {
    terminal: input.terminal,
    // Some programs look for the primary group in the list, too.
    user: {
      uid: input.uid,
      gid: input.gid,
      additionalGids: [...new Set([input.gid, ...input.additionalGids, ...edits.additionalGids])],
    },
    args: input.args,
    env: environment(deviceEnvironment(input.env, edits), input.terminal),
    cwd: input.cwd,
    capabilities: capabilities(input.security, facts),
    ...(input.ulimits.length === 0 ? {} : { rlimits: input.ulimits.map(rlimit) }),
    // A build runs sudo and the like: set-user-ID programs keep working.
    noNewPrivileges: false,
  };
}

function capabilities(security: SpecInput['security'], facts: HostFacts): Record<string, readonly string[]> {
  if (security === 'sandbox') {
    // Neither inheritable nor ambient: a process that is not root starts with none.
    return { bounding: SANDBOX_CAPABILITIES, effective: SANDBOX_CAPABILITIES, permitted: SANDBOX_CAPABILITIES };
  }
  const all = facts.capabilities;
  return { bounding: all, effective: all, inheritable: all, permitted: all, ambient: all };
}

function environment(given: readonly string[], terminal: boolean): string[] {
  // An entry without "=" asks for a variable to be unset; nothing is set beforehand.
  const env = given.filter((entry) => entry.includes('='));
  if (!env.some((entry) => entry.startsWith('PATH='))) {
    env.push(DEFAULT_PATH);
  }
  if (terminal && !env.some((entry) => entry.startsWith('TERM='))) {
    env.push(DEFAULT_TERM);
  }
  return env;
}

function namespaces(network: SpecNetwork, facts: HostFacts): { type: string; path?: string }[] {
  const all: { type: string; path?: string }[] = [{ type: 'pid' }, { type: 'ipc' }, { type: 'uts' }, { type: 'mount' }];
  if (network.kind === 'none') {
    all.push({ type: 'network' });
  } else if (network.kind === 'path') {
    all.push({ type: 'network', path: network.path });
  }
  // Version 1 hierarchies that are not mounted the usual way make the kernel refuse one.
  if (facts.cgroup === 'v2' && facts.cgroupNamespace) {
    all.push({ type: 'cgroup' });
  }
  return all;
}
