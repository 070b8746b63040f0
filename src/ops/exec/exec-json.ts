/** An ExecOp as Go's encoding/json writes upstream's struct: fields in order, zero values left out. */
import { goJson } from '../../oci/index.ts';
import type { ExecOp, Meta, Mount } from '../../proto/ops.pb.ts';

type Value = string | number | bigint | boolean | readonly string[] | undefined;

function object(
  fields: Readonly<Record<string, Value>>,
  raw: Readonly<Record<string, string | undefined>> = {},
): string {
  const parts: string[] = [];
  for (const [key, value] of Object.entries(fields)) {
    if (key in raw) {
      if (raw[key] !== undefined) parts.push(`"${key}":${raw[key]}`);
      continue;
    }
    if (value === undefined || value === '' || value === false || value === 0 || value === 0n) continue;
    if (Array.isArray(value)) {
      if (value.length > 0) parts.push(`"${key}":[${value.map((v) => goJson(v)).join(',')}]`);
    } else if (typeof value === 'string') parts.push(`"${key}":${goJson(value)}`);
    else parts.push(`"${key}":${String(value)}`);
  }
  return `{${parts.join(',')}}`;
}

function list<T>(items: readonly T[], write: (item: T) => string): string | undefined {
  return items.length === 0 ? undefined : `[${items.map(write).join(',')}]`;
}

/** Proxies and addresses of extra hosts do not count. */
function metaJson(meta: Meta): string {
  const { args, env, cwd, user, hostname, cgroupParent, removeMountStubsRecursive } = meta;
  return object(
    {
      args,
      env,
      cwd,
      user,
      extraHosts: '',
      hostname,
      ulimit: '',
      cgroupParent,
      removeMountStubsRecursive,
      validExitCodes: '',
    },
    {
      extraHosts: list(meta.extraHosts, ({ Host }) => object({ Host })),
      ulimit: list(meta.ulimit, ({ Name, Soft, Hard }) => object({ Name, Soft, Hard })),
      validExitCodes: list(meta.validExitCodes, String),
    },
  );
}

/** A Dockerfile's own cache mount, its id maybe behind a namespace: always counted, and so goes on counting. */
function isDefaultCache({ cacheOpt, dest }: Mount): boolean {
  if (cacheOpt === undefined || cacheOpt.sharing !== 0) return false;
  const { ID } = cacheOpt;
  return ID === dest || (ID.includes('/') && ID.slice(ID.indexOf('/') + 1) === dest);
}

/** What a plain RUN has. Old versions left it out, and their caches must go on matching. */
function isPlainRoot(mounts: readonly Mount[]): boolean {
  const [mount] = mounts;
  if (mounts.length !== 1 || mount === undefined || mount.dest !== '/' || mount.readonly || mount.mountType !== 0) {
    return false;
  }
  return (mount.cacheOpt ?? mount.SSHOpt ?? mount.secretOpt) === undefined && mount.resultID === '';
}

/** Selectors do not count here: they are part of the keys of the inputs. */
function mountJson(mount: Mount): string {
  const { input, dest, output, readonly, mountType, TmpfsOpt, cacheOpt, secretOpt, SSHOpt, resultID, contentCache } =
    mount;
  const secret = (option: Mount['secretOpt']): string | undefined => {
    if (option === undefined) return undefined;
    const { ID, uid, gid, mode, optional } = option;
    return object({ ID, uid, gid, mode, optional });
  };
  return object(
    {
      input,
      dest,
      output,
      readonly,
      mountType,
      TmpfsOpt: '',
      cacheOpt: '',
      secretOpt: '',
      SSHOpt: '',
      resultID,
      contentCache,
    },
    {
      TmpfsOpt: TmpfsOpt && object({ size: TmpfsOpt.size }),
      cacheOpt: cacheOpt && (isDefaultCache(mount) ? object({ ID: cacheOpt.ID }) : '{}'),
      secretOpt: secret(secretOpt),
      SSHOpt: secret(SSHOpt),
    },
  );
}

export function execJson(op: ExecOp): string {
  const { network, security } = op;
  return object(
    { meta: '', mounts: '', network, security, secretenv: '', cdiDevices: '' },
    {
      meta: op.meta && metaJson(op.meta),
      mounts: isPlainRoot(op.mounts) ? undefined : list(op.mounts, mountJson),
      secretenv: list(op.secretenv, ({ ID, name, optional }) => object({ ID, name, optional })),
      cdiDevices: list(op.cdiDevices, ({ name, optional }) => object({ name, optional })),
    },
  );
}
