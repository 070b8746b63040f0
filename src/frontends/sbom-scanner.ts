/** A step that scans a result for an SBOM, with a scanner from an image (docs/attestations/sbom-protocol.md upstream). */
import { posix } from 'node:path';
import { SPDX_PREDICATE } from '../attest/index.ts';
import { BuildError, Code } from '../base/index.ts';
import { image, scratch } from '../llb/index.ts';
import type { ResultAttestation, RunMount, State } from '../llb/index.ts';
import { parseImageConfig } from '../oci/index.ts';
import type { Platform } from '../oci/types.ts';
import type { GatewayClient, ResolveImageOptions } from './types.ts';

const CORE = 'sbom';
const SOURCES = '/run/src';
const DESTINATION = '/run/out/';

export interface ScannerRequest {
  /** The scanner's image, its name in full. */
  readonly generator: string;
  /** Told to it as `BUILDKIT_SCAN_<name>`. */
  readonly parameters: ReadonlyMap<string, string>;
  readonly platform: Platform;
  readonly resolveMode?: ResolveImageOptions['resolveMode'];
}

export interface ScanTarget {
  /** Shown: a platform. */
  readonly name: string;
  readonly core: State;
  /** Stages and contexts that are worth a look too, by their names. */
  readonly extras?: ReadonlyMap<string, State>;
  readonly ignoreCache?: boolean;
}

/** What the scanner leaves: a directory of statements. */
export type Scan = (target: ScanTarget) => State;

export async function createSbomScanner(
  client: Pick<GatewayClient, 'resolveImageConfig'>,
  { generator, parameters, platform, resolveMode }: ScannerRequest,
): Promise<Scan> {
  const { ref, config } = await client.resolveImageConfig(generator, { platform, resolveMode });
  const { Entrypoint, Cmd, Env, WorkingDir = '' } = parseImageConfig(config).config ?? {};
  const args = [...(Entrypoint ?? []), ...(Cmd ?? [])];
  if (args.length === 0) throw new BuildError(Code.Unknown, `scanner ${ref} does not have cmd`);
  return ({ name, core, extras = new Map<string, State>(), ignoreCache }) => {
    const env = (Env ?? []).map((pair): [string, string] => {
      const at = pair.indexOf('=');
      return at < 0 ? [pair, ''] : [pair.slice(0, at), pair.slice(at + 1)];
    });
    env.push(['BUILDKIT_SCAN_DESTINATION', DESTINATION], ['BUILDKIT_SCAN_SOURCE', `${SOURCES}/core/${CORE}`]);
    if (extras.size > 0) env.push(['BUILDKIT_SCAN_SOURCE_EXTRAS', `${SOURCES}/extras`]);
    for (const [key, value] of parameters) env.push([`BUILDKIT_SCAN_${key}`, value]);
    const mounts: RunMount[] = [
      { target: '/tmp', tmpfs: {} },
      { target: `${SOURCES}/core/${CORE}`, source: core, readonly: true },
      ...[...extras].map(([extra, source]) => ({
        target: posix.join(SOURCES, 'extras', `${CORE}-${extra}`),
        source,
        readonly: true,
      })),
    ];
    const scanner = env.reduce((state, [key, value]) => state.addEnv(key, value), image(ref, { platform }));
    const run = scanner.dir(WorkingDir).run({
      args,
      mounts,
      customName: `[${name}] generating sbom using ${ref}`,
      ...(ignoreCache === true ? { ignoreCache } : {}),
    });
    return run.addMount(DESTINATION, scratch());
  };
}

/** The scan's result, as what is attested of a platform. */
export function sbomAttestation<T>(ref: T): ResultAttestation<T> {
  return {
    kind: 'bundle',
    metadata: new Map([
      ['reason', Buffer.from('sbom')],
      ['sbom-core', Buffer.from(CORE)],
    ]),
    ref,
    path: '',
    predicateType: SPDX_PREDICATE,
  };
}
