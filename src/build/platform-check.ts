/** What does not fit between the platforms that were asked for and those of the result: told to the user, but no error. */
import { BuildError, Code } from '../base/index.ts';
import { platformsOf } from '../exporters/index.ts';
import type { BuildResult } from '../llb/index.ts';
import {
  defaultPlatform,
  formatPlatform,
  formatPlatformShort,
  normalizePlatform,
  parsePlatform,
} from '../oci/index.ts';
import type { Platform } from '../oci/index.ts';
import type { ImmutableRef } from '../storage/index.ts';

function parseRequested(texts: readonly string[]): { platforms: Platform[]; warnings: string[] } {
  const platforms: Platform[] = [];
  const warnings: string[] = [];
  const seen = new Set<string>();
  for (const text of texts) {
    const written = JSON.stringify(text);
    let platform: Platform;
    try {
      platform = normalizePlatform(parsePlatform(text));
    } catch (error) {
      warnings.push(`Invalid platform result requested ${written}: ${(error as Error).message}`);
      continue;
    }
    if (seen.has(formatPlatform(platform))) warnings.push(`Duplicate platform result requested ${written}`);
    seen.add(formatPlatform(platform));
    platforms.push(platform);
  }
  return { platforms, warnings };
}

const list = (platforms: readonly Platform[]): string => platforms.map(formatPlatform).toSorted().join(',');

/** A request that names no version or features of the system is content with those of the base image. */
function fits(asked: Platform, found: Platform): boolean {
  const comparable = {
    ...found,
    osVersion: asked.osVersion === undefined ? undefined : found.osVersion,
    osFeatures: asked.osFeatures === undefined ? undefined : found.osFeatures,
  };
  return formatPlatform(comparable) === formatPlatform(asked);
}

/** Every request has a result of its own. Those that say more choose first. */
function areSame(asked: readonly Platform[], found: readonly Platform[]): boolean {
  const left = [...found];
  const said = ({ osVersion, osFeatures }: Platform): number =>
    Number(osVersion !== undefined) + Number(osFeatures !== undefined);
  for (const platform of asked.toSorted((a, b) => said(b) - said(a))) {
    const at = left.findIndex((result) => fits(platform, result));
    if (at < 0) return false;
    left.splice(at, 1);
  }
  return left.length === 0;
}

/** Warnings in upstream's words (exporter/verifier). `requested` is the option `platform`. Throws for several refs without a map of platforms. */
export function checkPlatforms(
  requested: string | undefined,
  result: BuildResult<ImmutableRef | undefined>,
): readonly string[] {
  const isMap = (result.refs?.size ?? 0) > 0;
  if (!result.metadata.has('refs.platforms')) {
    if (isMap) {
      throw new BuildError(Code.InvalidArgument, 'build result contains multiple refs without platforms mapping');
    }
    if (result.ref === undefined) return [];
  }
  const found = platformsOf(result).map((p) => normalizePlatform(p.platform));
  const texts = requested?.split(',') ?? [formatPlatformShort(normalizePlatform(defaultPlatform()))];
  const { platforms: asked, warnings } = parseRequested(texts);
  if (warnings.length > 0) return warnings;
  if (asked.length === 1 && found.length === 1) {
    if (fits(asked[0], found[0])) return [];
    const result = formatPlatform(found[0]);
    const names = `${JSON.stringify(texts[0])} does not match result platform ${JSON.stringify(result)}`;
    return [`Requested platform ${names}`];
  }
  if (!isMap && asked.length > 1) return ['Multiple platforms requested but result is not multi-platform'];
  if (areSame(asked, found)) return [];
  return [`Requested platforms ${list(asked)} do not match result platforms ${list(found)}`];
}
