/** Which of an index' platforms serves a wanted one, best first (containerd platforms.Only). */
import { normalizePlatform } from './platform.ts';
import type { Platform } from './types.ts';
import { runsWindowsVersion, windowsVersionDistance } from './windows-version.ts';

export interface PlatformMatcher {
  match(platform: Platform): boolean;
  /** Lower is better; undefined: does not match. */
  rank(platform: Platform): number | undefined;
}

/** The arm64 v8.x that each v9.x includes. */
const V9_INCLUDES_V8 = 5;

function arm64Variants(variant: string): string[] {
  const found = /^v([89])(?:\.(\d+))?$/.exec(variant);
  if (found === null) return [];
  const minor = Number(found[2] ?? 0);
  const top = found[1] === '8' ? 9 : 7;
  if (minor > top) return [];
  const down = (major: number, from: number): string[] =>
    Array.from({ length: from + 1 }, (_, i) => (from - i === 0 ? `v${major}` : `v${major}.${from - i}`));
  if (found[1] === '8') return down(8, minor);
  return [...down(9, minor), ...down(8, Math.min(minor + V9_INCLUDES_V8, 9))];
}

/** The variants `v<n>` below, down to `lowest`. */
function lowerVariants(variant: string | undefined, lowest: number): string[] {
  const version = /^v?(\d+)$/.exec(variant ?? '');
  const out: string[] = [];
  if (version !== null) for (let v = Math.min(Number(version[1]), 64) - 1; v >= lowest; v--) out.push(`v${v}`);
  return out;
}

/** The platform and what it can run besides, best first. */
export function compatiblePlatforms(platform: Platform): readonly Platform[] {
  const p = normalizePlatform(platform);
  const as = (architecture: string, variant: string): Platform => {
    const { variant: _, ...rest } = p;
    return normalizePlatform({ ...rest, architecture, ...(variant === '' ? {} : { variant }) });
  };
  switch (p.architecture) {
    case 'amd64':
      return [p, ...lowerVariants(p.variant, 1).map((v) => as('amd64', v)), as('386', '')];
    case 'arm':
      return [p, ...lowerVariants(p.variant, 5).map((v) => as('arm', v))];
    case 'arm64': {
      const variants = arm64Variants(p.variant ?? 'v8');
      if (variants.length === 0) return [p];
      return [
        ...variants.map((v) => as('arm64', v)),
        as('arm', 'v8'),
        ...lowerVariants('v8', 5).map((v) => as('arm', v)),
      ];
    }
    default:
      return [p];
  }
}

/** Every Windows has it but Nano Server, and images that list it ran where nobody asked for it. */
const ANYWHERE = 'win32k';

function matches(wanted: Platform, given: Platform): boolean {
  if (wanted.os !== given.os || wanted.architecture !== given.architecture) return false;
  if ((wanted.variant ?? '') !== (given.variant ?? '')) return false;
  const isWindows = wanted.os === 'windows';
  if (isWindows && !runsWindowsVersion(wanted.osVersion, given.osVersion)) return false;
  return (given.osFeatures ?? []).every(
    (f) => (isWindows && f === ANYWHERE) || (wanted.osFeatures?.includes(f) ?? false),
  );
}

/** Less than any two versions of Windows differ. */
const FEATURE = 1 / 0x2_0000;

/**
 * Among those that run, lower is better; below 1. The more features an image asks for, the better it fits; the first of an
 * index wins, as upstream, but not over a Windows that is nearer to the wanted one.
 */
function distance(wanted: Platform, given: Platform): number {
  const versions = wanted.os === 'windows' ? windowsVersionDistance(wanted.osVersion, given.osVersion) : 0;
  const features = given.osFeatures?.length ?? 0;
  return versions - FEATURE * (features / (1 + features));
}

/** `exact`: nothing but the platform itself (platforms.OnlyStrict). */
export function platformMatcher(platform: Platform, options: { exact?: boolean } = {}): PlatformMatcher {
  const wanted = options.exact ? [normalizePlatform(platform)] : compatiblePlatforms(platform);
  const rank = (given: Platform): number | undefined => {
    const normalized = normalizePlatform(given);
    const at = wanted.findIndex((w) => matches(w, normalized));
    return at < 0 ? undefined : at + distance(wanted[at], normalized);
  };
  return { rank, match: (given) => rank(given) !== undefined };
}
