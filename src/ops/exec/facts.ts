import type { StepFacts } from '../../attest/index.ts';
import { MountType, NetMode } from '../../proto/ops.pb.ts';
import type { ExecOp } from '../../proto/ops.pb.ts';

/** What a process could get at beside its inputs. */
export function execFacts({ mounts, secretenv, network }: ExecOp): StepFacts {
  const secretMounts = mounts.filter((m) => m.mountType === MountType.SECRET).map((m) => m.secretOpt);
  const agents = mounts.filter((m) => m.mountType === MountType.SSH).map((m) => m.SSHOpt);
  return {
    secrets: [...secretMounts, ...secretenv].map((s) => ({ id: s?.ID ?? '', optional: s?.optional ?? false })),
    ssh: agents.map((a) => ({ id: a?.ID ?? '', optional: a?.optional ?? false })),
    network: network !== NetMode.NONE,
  };
}
