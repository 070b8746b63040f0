/**
 * Which Windows images run on which Windows: `os.version` is `major.minor.build[.revision]`
 * (learn.microsoft.com, "Windows container version compatibility").
 */
interface Version {
  readonly major: number;
  readonly minor: number;
  readonly build: number;
}

/** Windows Server 2022: since then a release runs the images of those from the long-term release before it on. */
const LTSC_2022 = 20_348;
const LTSC_2025 = 26_100;
const LONG_TERM = [LTSC_2022, LTSC_2025];

/** Undefined for what is no such version. */
function parse(text: string | undefined): Version | undefined {
  const found = /^(\d+)\.(\d+)\.(\d+)(?:\.|$)/.exec(text ?? '');
  if (found === null) return undefined;
  const [major, minor, build] = found.slice(1).map(Number);
  const isNone = major === 0 && minor === 0 && build === 0;
  return !isNone && major <= 0xff && minor <= 0xff && build <= 0xffff ? { major, minor, build } : undefined;
}

export function isWindowsVersion(text: string): boolean {
  return /^\d+\.\d+\.\d+(?:\.\d+)?$/.test(text) && parse(text) !== undefined;
}

/** A system or an image that names no version runs with all. */
export function runsWindowsVersion(host: string | undefined, image: string | undefined): boolean {
  const on = parse(host);
  if (on === undefined || image === undefined || image === '') return true;
  const wants = parse(image);
  if (wants === undefined || on.major !== wants.major || on.minor !== wants.minor) return false;
  if (on.build < LTSC_2022) return on.build === wants.build;
  const oldest = LONG_TERM.findLast((build) => build < on.build) ?? LTSC_2022;
  return oldest <= wants.build && wants.build <= on.build;
}

/** From 0 for the same build to just below 1. Only for a pair that runs; an image that names no version comes last. */
export function windowsVersionDistance(host: string | undefined, image: string | undefined): number {
  const on = parse(host);
  if (on === undefined) return 0;
  const builds = on.build - (parse(image)?.build ?? 0);
  return builds / 0x1_0000;
}
