import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BuildError, Code } from '../base/index.ts';
import { mountLocally } from '../storage/index.ts';
import type { LocalMount } from '../storage/index.ts';
import type { ImmutableRef } from '../storage/types.ts';
import type { Attestation } from './attestations/attestation.ts';
import { attestationFiles } from './attestations/attestation-files.ts';
import type { AttestationNaming } from './attestations/attestation-files.ts';
import { epochOf, isPerPlatform, platformsOf, refOfPlatform, requirePlatformMap } from './result.ts';
import type { Epoch, ExportedResult } from './result.ts';

/** The files of one platform of a result. */
export interface PlatformFiles {
  /** `linux/amd64`; '' when the result does not say. */
  readonly id: string;
  readonly ref: ImmutableRef | undefined;
  readonly epoch: number | undefined;
  readonly attestations: readonly Attestation[];
}

export interface ResultFiles {
  readonly perPlatform: boolean;
  readonly platforms: readonly PlatformFiles[];
}

export function filesOf(result: ExportedResult, epoch: Epoch | undefined): ResultFiles {
  requirePlatformMap(result);
  const platforms = platformsOf(result);
  const perPlatform = isPerPlatform(result);
  if (!perPlatform && platforms.length > 1) {
    throw new BuildError(Code.Unknown, 'unable to export multiple platforms without map');
  }
  return {
    perPlatform,
    platforms: platforms.map(({ id }) => ({
      id,
      ref: refOfPlatform(result, id),
      epoch: epoch === undefined ? epochOf(result, id) : epoch.seconds,
      attestations: result.attestations?.get(id) ?? [],
    })),
  };
}

/** `linux/amd64` as a folder. */
export function platformFolder(id: string): string {
  return id.replaceAll('/', '_');
}

/** The files of one platform, and what is attested of them. */
export interface ShownFiles {
  readonly dir: string;
  /** Statements, to be laid over `dir`. */
  readonly attestations: string | undefined;
}

/** Mounted until `stack` is disposed. */
export async function showFiles(
  files: PlatformFiles,
  stack: AsyncDisposableStack,
  options: { naming: AttestationNaming; nowSeconds: number; signal: AbortSignal },
): Promise<ShownFiles> {
  const { ref, epoch, attestations } = files;
  const { dir, release } = await mountFiles(ref);
  stack.defer(release);
  const { naming, nowSeconds, signal } = options;
  const attested = await attestationFiles(attestations, { dir, naming, mtimeSeconds: epoch ?? nowSeconds, signal });
  if (attested !== undefined) stack.defer(() => attested.release());
  return { dir, attestations: attested?.dir };
}

/** A directory with the files; an empty one for an empty result. */
async function mountFiles(ref: ImmutableRef | undefined): Promise<LocalMount> {
  if (ref !== undefined) return await mountLocally(ref, { readonly: true });
  const dir = await mkdtemp(join(tmpdir(), 'buildkit'));
  return { dir, release: () => rm(dir, { recursive: true, force: true }) };
}
