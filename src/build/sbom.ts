/** An SBOM by a scanner of the daemon's own, where the frontend has brought none. */
import { SPDX_PREDICATE } from '../attest/index.ts';
import type { SbomOptions } from '../attest/index.ts';
import { platformsOf, refOfPlatform } from '../exporters/index.ts';
import { createSbomScanner, sbomAttestation } from '../frontends/index.ts';
import { State } from '../llb/index.ts';
import type { BuildResult, ResultAttestation } from '../llb/index.ts';
import type { Digest, Platform } from '../oci/types.ts';
import type { Bridge } from './bridge.ts';
import type { LazyRef } from './lazy-ref.ts';

type LazyResult = BuildResult<LazyRef | undefined>;

export interface SbomRequest extends SbomOptions {
  readonly platform: Platform;
  readonly resolveMode: 'default' | 'pull' | 'local' | undefined;
  readonly ignoreCache: boolean;
}

function hasSbom({ attestations }: LazyResult): boolean {
  return [...(attestations?.values() ?? [])].some((list) => list.some((a) => a.predicateType === SPDX_PREDICATE));
}

/** The result with the scans, which are lazy; their refs belong to it. */
export async function addSboms(result: LazyResult, request: SbomRequest, bridge: Bridge): Promise<LazyResult> {
  if (hasSbom(result)) return result;
  const client = {
    resolveImageConfig: async (ref: string, options: Parameters<Bridge['resolveImageConfig']>[1]) => {
      const resolved = await bridge.resolveImageConfig(ref, options);
      return { ...resolved, digest: resolved.digest as Digest };
    },
  };
  const scan = await createSbomScanner(client, request);
  const attestations = new Map<string, readonly ResultAttestation<LazyRef | undefined>[]>(result.attestations);
  for (const { id } of platformsOf(result)) {
    const ref = refOfPlatform(result, id);
    if (ref === undefined) continue;
    const { ignoreCache } = request;
    const bundle = scan({ name: id, core: State.fromDefinition(ref.definition), ignoreCache });
    const scanned = await bridge.solve({ definition: bundle.marshal() });
    attestations.set(id, [...(attestations.get(id) ?? []), sbomAttestation(scanned.ref)]);
  }
  return { ...result, attestations };
}
