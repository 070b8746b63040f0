import { isIP } from 'node:net';
import { invalidArgument } from '../../base/index.ts';
import type { LinuxResources, ProcessMeta } from '../../executor/types.ts';
import type { Platform } from '../../oci/types.ts';
import { NetMode, SecurityMode } from '../../proto/ops.pb.ts';
import { systemOf } from '../../systems/index.ts';
import type { ExecOp, HostIP, LinuxResources as LinuxResourcesMessage, ProxyEnv } from '../../proto/ops.pb.ts';

/** Where a process finds programs when nothing else is said (upstream: util/system/path.go). */
export function defaultPath(os: string): string {
  return systemOf(os).environment.searchPath;
}

/** Programs differ in which case they look for. */
function proxyEnvironment(proxy: ProxyEnv): string[] {
  const named: ReadonlyArray<readonly [string, string]> = [
    ['HTTP_PROXY', proxy.httpProxy],
    ['HTTPS_PROXY', proxy.httpsProxy],
    ['FTP_PROXY', proxy.ftpProxy],
    ['NO_PROXY', proxy.noProxy],
    ['ALL_PROXY', proxy.allProxy],
  ];
  return named.flatMap(([name, value]) => (value === '' ? [] : [`${name}=${value}`, `${name.toLowerCase()}=${value}`]));
}

function extraHost({ Host, IP }: HostIP): { host: string; ip: string } {
  if (isIP(IP) === 0 || IP.includes('%')) throw invalidArgument(`failed to parse IP ${IP}`);
  return { host: Host, ip: IP };
}

const NETWORKS: Readonly<Record<number, ProcessMeta['network']>> = {
  [NetMode.UNSET]: 'default',
  [NetMode.HOST]: 'host',
  [NetMode.NONE]: 'none',
};
const SECURITY: Readonly<Record<number, ProcessMeta['security']>> = {
  [SecurityMode.SANDBOX]: 'sandbox',
  [SecurityMode.INSECURE]: 'insecure',
};

export function linuxResources(message: LinuxResourcesMessage | undefined): LinuxResources | undefined {
  if (message === undefined) return undefined;
  const set = Object.entries(message).flatMap(([key, value]): Array<[string, string | number]> => {
    if (typeof value === 'bigint') return value === 0n ? [] : [[key, Number(value)]];
    return typeof value === 'string' && value !== '' ? [[key, value]] : [];
  });
  return set.length === 0 ? undefined : (Object.fromEntries(set) as LinuxResources);
}

export interface MetaOptions {
  readonly platform: Platform;
  readonly readonlyRootfs: boolean;
  readonly secretEnv: readonly string[];
  readonly resources: LinuxResources | undefined;
  readonly traceParent?: string | undefined;
}

/** Throws InvalidArgument. Secrets come last, so that they win. */
export function processMeta(
  op: Pick<ExecOp, 'meta' | 'network' | 'security'> & Partial<Pick<ExecOp, 'cdiDevices'>>,
  options: MetaOptions,
): ProcessMeta {
  const { meta } = op;
  if (meta === undefined) throw invalidArgument('invalid exec op with no meta');
  const env = [...meta.env, ...(meta.proxyEnv === undefined ? [] : proxyEnvironment(meta.proxyEnv))];
  const { environment } = systemOf(options.platform.os);
  if (environment.needsSearchPath && !env.some((e) => e.startsWith('PATH=')))
    env.push(`PATH=${environment.searchPath}`);
  const network = NETWORKS[op.network];
  if (network === undefined) throw invalidArgument(`invalid network mode ${op.network}`);
  const security = SECURITY[op.security];
  if (security === undefined) throw invalidArgument(`invalid security mode ${op.security}`);
  return {
    args: meta.args,
    env: [...env, ...options.secretEnv],
    cwd: meta.cwd,
    user: meta.user,
    readonlyRootfs: options.readonlyRootfs,
    hostname: meta.hostname,
    extraHosts: meta.extraHosts.map(extraHost),
    ulimits: meta.ulimit.map(({ Name, Soft, Hard }) => ({ name: Name, soft: Number(Soft), hard: Number(Hard) })),
    cgroupParent: meta.cgroupParent,
    network,
    security,
    validExitCodes: meta.validExitCodes,
    removeMountStubsRecursive: meta.removeMountStubsRecursive,
    ...(options.resources === undefined ? {} : { resources: options.resources }),
    ...(options.traceParent === undefined ? {} : { traceParent: options.traceParent }),
    tty: false,
    ...(op.cdiDevices === undefined || op.cdiDevices.length === 0 ? {} : { devices: op.cdiDevices.map((d) => d.name) }),
  };
}
