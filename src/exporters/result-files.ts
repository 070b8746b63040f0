import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BuildError, Code } from '../base/index.ts';
import { mountLocally } from '../storage/index.ts';
import type { LocalMount } from '../storage/index.ts';
import type { ImmutableRef } from '../storage/types.ts';
import { epochOf, isPerPlatform, platformsOf, refOfPlatform, requirePlatformMap } from './result.ts';
import type { Epoch, ExportedResult } from './result.ts';

/** The files of one platform of a result. */
export interface PlatformFiles {
  /** `linux/amd64`; '' when the result does not say. */
  readonly id: string;
  readonly ref: ImmutableRef | undefined;
  readonly epoch: number | undefined;
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
    })),
  };
}

/** `linux/amd64` as a folder. */
export function platformFolder(id: string): string {
  return id.replaceAll('/', '_');
}

/** A directory with the files; an empty one for an empty result. */
export async function showFiles(ref: ImmutableRef | undefined): Promise<LocalMount> {
  if (ref !== undefined) return await mountLocally(ref, { readonly: true });
  const dir = await mkdtemp(join(tmpdir(), 'buildkit'));
  return { dir, release: () => rm(dir, { recursive: true, force: true }) };
}
