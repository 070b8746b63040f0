import { invalidArgument } from '../base/index.ts';
import { MountContentCache, MountType, NetMode, SecurityMode, CacheSharingOpt } from '../proto/ops.pb.ts';
import type { ExecOp, Input, Meta, Mount } from '../proto/ops.pb.ts';
import { systemOf } from '../systems/index.ts';
import { startOp } from './constraints.ts';
import type { ConstraintOptions } from './constraints.ts';
import type { StateValues } from './state-values.ts';
import { withEnv } from './state-values.ts';
import { addInput, finishVertex } from './vertex.ts';
import type { MarshalContext, MarshalledVertex, Output, VertexNode } from './vertex.ts';

export interface MountOptions {
  readonly readonly?: boolean;
  /** A path inside the source. */
  readonly selector?: string;
  /** Writable, but what is written is thrown away. */
  readonly noOutput?: boolean;
  readonly contentCache?: 'default' | 'on' | 'off';
  readonly cache?: { readonly id: string; readonly sharing?: 'shared' | 'private' | 'locked' };
  readonly tmpfs?: { readonly size?: number };
}

export interface SecretOptions {
  readonly id: string;
  /** The file; none when only `env` is given. */
  readonly target?: string;
  readonly env?: string;
  readonly uid?: number;
  readonly gid?: number;
  /** 0400 when not given. */
  readonly mode?: number;
  readonly optional?: boolean;
}

export interface SshOptions {
  readonly id?: string;
  readonly target?: string;
  readonly uid?: number;
  readonly gid?: number;
  /** 0600 when not given. */
  readonly mode?: number;
  readonly optional?: boolean;
}

export interface ProxyEnvOptions {
  readonly httpProxy?: string;
  readonly httpsProxy?: string;
  readonly ftpProxy?: string;
  readonly noProxy?: string;
  readonly allProxy?: string;
}

export interface ExecExtras {
  readonly secrets: readonly SecretOptions[];
  readonly ssh: readonly SshOptions[];
  readonly proxyEnv?: ProxyEnvOptions;
  readonly devices: readonly { readonly name: string; readonly optional?: boolean }[];
}

interface ExecMount extends MountOptions {
  readonly target: string;
  readonly source: Output | undefined;
  output: Output | undefined;
}

const NETWORKS = { sandbox: NetMode.UNSET, host: NetMode.HOST, none: NetMode.NONE } as const;
const SHARING = {
  shared: CacheSharingOpt.SHARED,
  private: CacheSharingOpt.PRIVATE,
  locked: CacheSharingOpt.LOCKED,
} as const;
const CONTENT_CACHE = {
  default: MountContentCache.DEFAULT,
  on: MountContentCache.ON,
  off: MountContentCache.OFF,
} as const;

const isKept = (m: MountOptions): boolean =>
  !m.noOutput && !m.readonly && m.cache === undefined && m.tmpfs === undefined;

export class ExecVertex implements VertexNode {
  readonly #values: StateValues;
  readonly #options: ConstraintOptions;
  readonly #extras: ExecExtras;
  #mounts: ExecMount[] = [];
  readonly root: Output | undefined;

  constructor(
    values: StateValues,
    root: Output | undefined,
    readonlyRoot: boolean,
    extras: ExecExtras,
    options: ConstraintOptions,
  ) {
    this.#values = values;
    this.#options = options;
    this.#extras = extras;
    this.root = this.addMount('/', root, { readonly: readonlyRoot });
  }

  /** What the mount leaves behind. */
  addMount(target: string, source: Output | undefined, options: MountOptions): Output | undefined {
    const mount: ExecMount = { ...options, target, source, output: undefined };
    mount.output = options.readonly ? source : this.#outputOf(mount);
    // As upstream numbers outputs: in the order of their targets, equal targets as they came.
    this.#mounts = [...this.#mounts, mount].sort((a, b) =>
      Buffer.compare(Buffer.from(a.target), Buffer.from(b.target)),
    );
    return mount.output;
  }

  #outputOf(mount: ExecMount): Output {
    const index = (): number => {
      if (mount.tmpfs !== undefined) throw invalidArgument(`tmpfs mount for ${mount.target} can't be used as a parent`);
      if (mount.noOutput) throw invalidArgument(`mount marked no-output and ${mount.target} can't be used as a parent`);
      const at = this.#mounts.filter(isKept).indexOf(mount);
      if (at < 0) throw invalidArgument(`invalid mount: ${mount.target}`);
      return at;
    };
    return { vertex: this, index, platform: this.#options.platform };
  }

  mountOutput(target: string): Output | undefined {
    return this.#mounts.find((m) => m.target === target)?.output;
  }

  inputs(): readonly Output[] {
    return [...new Set(this.#mounts.map((m) => m.source).filter((s) => s !== undefined))];
  }

  marshal(context: MarshalContext): MarshalledVertex {
    const { args, dir } = this.#values;
    if (args.length === 0) throw invalidArgument('arguments are required');
    if (dir === '') throw invalidArgument('working directory is required');
    const caps = new Set<string>();
    const exec: ExecOp = {
      meta: this.#meta(context, caps),
      mounts: [],
      network: NETWORKS[this.#values.network],
      security: this.#values.security === 'insecure' ? SecurityMode.INSECURE : SecurityMode.SANDBOX,
      secretenv: [],
      cdiDevices: this.#extras.devices.map((d) => ({ name: d.name, optional: d.optional ?? false })),
    };
    if (exec.network !== NetMode.UNSET) caps.add('exec.meta.network');
    if (exec.security !== SecurityMode.SANDBOX) caps.add('exec.meta.security');
    if (exec.cdiDevices.length > 0) caps.add('exec.meta.cdi');
    if (this.#options.linuxResources !== undefined) caps.add('exec.meta.linux.resources');
    const inputs: Input[] = [];
    this.#bindMounts(context, exec, inputs, caps);
    this.#secretMounts(exec, caps);
    this.#sshMounts(exec, caps);
    const platform = this.#options.platform ?? this.#values.platform;
    const { op, metadata } = startOp(context.constraints, this.#options, caps, platform);
    return finishVertex({ ...op, inputs, op: { $case: 'exec', value: exec } }, metadata, this.#options.locations);
  }

  #env(context: MarshalContext, caps: Set<string>): ReadonlyMap<string, string> {
    let { env } = this.#values;
    if (this.#extras.ssh.length > 0 && !env.has('SSH_AUTH_SOCK'))
      env = withEnv(env, 'SSH_AUTH_SOCK', this.#sshTarget(0));
    const daemon = context.constraints.options.caps;
    if (daemon?.has('exec.meta.setsdefaultpath')) caps.add('exec.meta.setsdefaultpath');
    else if (daemon !== undefined && !env.has('PATH')) {
      const { needsSearchPath, searchPath } = systemOf(context.constraints.platform.os).environment;
      if (needsSearchPath) env = withEnv(env, 'PATH', searchPath);
    }
    return env;
  }

  #meta(context: MarshalContext, caps: Set<string>): Meta {
    const v = this.#values;
    const proxy = this.#extras.proxyEnv;
    caps.add('exec.meta.base');
    if (v.validExitCodes !== undefined) caps.add('exec.validexitcode');
    if (v.ulimits.length > 0) caps.add('exec.meta.ulimit');
    if (proxy !== undefined) caps.add('exec.meta.proxyenv');
    return {
      args: [...v.args],
      env: [...this.#env(context, caps)].map(([key, value]) => `${key}=${value}`),
      cwd: v.dir,
      user: v.user,
      proxyEnv: proxy && {
        httpProxy: proxy.httpProxy ?? '',
        httpsProxy: proxy.httpsProxy ?? '',
        ftpProxy: proxy.ftpProxy ?? '',
        noProxy: proxy.noProxy ?? '',
        allProxy: proxy.allProxy ?? '',
      },
      extraHosts: v.extraHosts.map(({ host, ip }) => ({ Host: host, IP: ip })),
      hostname: v.hostname,
      ulimit: v.ulimits.map((u) => ({ Name: u.name, Soft: BigInt(u.soft), Hard: BigInt(u.hard) })),
      cgroupParent: v.cgroupParent,
      removeMountStubsRecursive: true,
      validExitCodes: [...(v.validExitCodes ?? [])],
    };
  }

  #bindMounts(context: MarshalContext, exec: ExecOp, inputs: Input[], caps: Set<string>): void {
    let outputs = 0n;
    for (const mount of this.#mounts) {
      const { source, cache, tmpfs } = mount;
      if (mount.selector) caps.add('exec.mount.selector');
      if (cache !== undefined) {
        caps.add('exec.mount.cache');
        caps.add('exec.mount.cache.sharing');
      } else if (tmpfs !== undefined) {
        if (source !== undefined) throw invalidArgument('tmpfs mounts must use scratch');
        caps.add('exec.mount.tmpfs');
        if ((tmpfs.size ?? 0) > 0) caps.add('exec.mount.tmpfs.size');
      } else if (source !== undefined) caps.add('exec.mount.bind');
      const contentCache = CONTENT_CACHE[mount.contentCache ?? 'default'];
      if (contentCache !== MountContentCache.DEFAULT) caps.add('exec.mount.cache.content');
      exec.mounts.push({
        ...emptyMount(mount.target),
        input: source === undefined ? -1n : BigInt(addInput(inputs, context.input(source))),
        selector: mount.selector ?? '',
        output: isKept(mount) ? outputs++ : -1n,
        readonly: mount.readonly ?? false,
        mountType: cache !== undefined ? MountType.CACHE : tmpfs !== undefined ? MountType.TMPFS : MountType.BIND,
        cacheOpt: cache && { ID: cache.id, sharing: SHARING[cache.sharing ?? 'shared'] },
        TmpfsOpt: tmpfs && { size: BigInt(tmpfs.size ?? 0) },
        contentCache,
      });
    }
  }

  #secretMounts(exec: ExecOp, caps: Set<string>): void {
    if (this.#extras.secrets.length > 0) caps.add('exec.mount.secret');
    for (const { id, target, env, uid = 0, gid = 0, mode = 0o400, optional = false } of this.#extras.secrets) {
      if (env !== undefined) {
        caps.add('exec.secretenv');
        exec.secretenv.push({ ID: id, name: env, optional });
      }
      if (target === undefined) continue;
      const secretOpt = { ID: id, uid, gid, mode, optional };
      exec.mounts.push({ ...emptyMount(target), mountType: MountType.SECRET, secretOpt });
    }
  }

  #sshTarget(at: number): string {
    return this.#extras.ssh[at].target || `/run/buildkit/ssh_agent.${at}`;
  }

  #sshMounts(exec: ExecOp, caps: Set<string>): void {
    if (this.#extras.ssh.length > 0) caps.add('exec.mount.ssh');
    for (const [i, { id = '', uid = 0, gid = 0, mode = 0o600, optional = false }] of this.#extras.ssh.entries()) {
      const SSHOpt = { ID: id, uid, gid, mode, optional };
      exec.mounts.push({ ...emptyMount(this.#sshTarget(i)), mountType: MountType.SSH, SSHOpt });
    }
  }
}

function emptyMount(dest: string): Mount {
  return {
    input: -1n,
    selector: '',
    dest,
    output: 0n,
    readonly: false,
    mountType: MountType.BIND,
    TmpfsOpt: undefined,
    cacheOpt: undefined,
    secretOpt: undefined,
    SSHOpt: undefined,
    resultID: '',
    contentCache: MountContentCache.DEFAULT,
  };
}
