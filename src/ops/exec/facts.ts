import type { StepFacts } from '../../attest/index.ts';
import { parseDigest } from '../../oci/index.ts';
import { MountType, NetMode } from '../../proto/ops.pb.ts';
import type { ExecOp } from '../../proto/ops.pb.ts';
import type { RequestJournal } from '../../gatekeeper/index.ts';

/** What a step asked for through its proxy; `journal` is undefined where it did not run, because its result was there. */
function proxyFacts(op: ExecOp, digest: string, journal: RequestJournal | undefined): Partial<StepFacts> {
  const name = op.meta?.args.join(' ') ?? '';
  return {
    materials: (journal?.materials ?? []).map((m) => ({
      kind: 'http',
      url: m.url,
      digest: parseDigest(`sha256:${m.sha256}`),
    })),
    proxy: {
      uncaptured: (journal?.incomplete ?? []).map(({ method, url, reason }) => ({
        op: digest,
        name,
        method,
        uri: url,
        reason,
      })),
    },
  };
}

/** What a process could get at beside its inputs. */
export function execFacts(
  op: ExecOp,
  proxied?: { readonly digest: string; readonly journal: RequestJournal | undefined },
): StepFacts {
  const { mounts, secretenv, network } = op;
  const secretMounts = mounts.filter((m) => m.mountType === MountType.SECRET).map((m) => m.secretOpt);
  const agents = mounts.filter((m) => m.mountType === MountType.SSH).map((m) => m.SSHOpt);
  return {
    secrets: [...secretMounts, ...secretenv].map((s) => ({ id: s?.ID ?? '', optional: s?.optional ?? false })),
    ssh: agents.map((a) => ({ id: a?.ID ?? '', optional: a?.optional ?? false })),
    network: network !== NetMode.NONE,
    ...(proxied === undefined ? {} : proxyFacts(op, proxied.digest, proxied.journal)),
  };
}
