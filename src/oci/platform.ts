import { invalidArgument } from '../base/index.ts';
import type { Platform } from './types.ts';
import { isWindowsVersion } from './windows-version.ts';

const PART = /^[A-Za-z0-9_.-]+$/;
const OS_PART = /^([A-Za-z0-9_-]+)(?:\(([A-Za-z0-9_.%-]*)((?:\+[A-Za-z0-9_.%-]+)*)\))?$/;
const PART_TEXT = '"^[A-Za-z0-9_.-]+$"';
const OS_PART_TEXT = '"^([A-Za-z0-9_-]+)(?:\\\\(([A-Za-z0-9_.%-]*)((?:\\\\+[A-Za-z0-9_.%-]+)*)\\\\))?$"';

const KNOWN_OS = new Set(
  'aix android darwin dragonfly freebsd hurd illumos ios js linux nacl netbsd openbsd plan9 solaris windows zos'.split(
    ' ',
  ),
);
const KNOWN_ARCH = new Set(
  (
    '386 amd64 amd64p32 arm armbe arm64 arm64be ppc64 ppc64le loong64 mips mipsle mips64 mips64le mips64p32 mips64p32le ' +
    'ppc riscv riscv64 s390 s390x sparc sparc64 wasm'
  ).split(' '),
);

const NODE_OS: Readonly<Record<string, string>> = { win32: 'windows', sunos: 'solaris' };
const NODE_ARCH: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386', loong64: 'loong64' };

function make(
  os: string,
  architecture: string,
  variant: string,
  osVersion?: string,
  osFeatures?: readonly string[],
): Platform {
  return {
    os,
    architecture,
    ...(variant === '' ? {} : { variant }),
    ...(osVersion === undefined || osVersion === '' ? {} : { osVersion }),
    ...(osFeatures === undefined || osFeatures.length === 0 ? {} : { osFeatures }),
  };
}

/** What this process runs on. */
export function defaultPlatform(): Platform {
  const arch = NODE_ARCH[process.arch] ?? process.arch;
  return make(NODE_OS[process.platform] ?? process.platform, arch, arch === 'arm' ? 'v7' : '');
}

function normalizeOs(os: string): string {
  if (os === '') return defaultPlatform().os;
  const lower = os.toLowerCase();
  return lower === 'macos' ? 'darwin' : lower;
}

function normalizeArch(architecture: string, givenVariant: string): [architecture: string, variant: string] {
  const arch = architecture.toLowerCase();
  const variant = givenVariant.toLowerCase();
  switch (arch) {
    case 'i386':
      return ['386', ''];
    case 'x86_64':
    case 'x86-64':
    case 'amd64':
      return ['amd64', variant === 'v1' ? '' : variant];
    case 'aarch64':
    case 'arm64':
      if (['8', 'v8', 'v8.0'].includes(variant)) return ['arm64', ''];
      return ['arm64', ['9', '9.0', 'v9.0'].includes(variant) ? 'v9' : variant];
    case 'armhf':
      return ['arm', 'v7'];
    case 'armel':
      return ['arm', 'v6'];
    case 'arm':
      if (variant === '' || variant === '7') return ['arm', 'v7'];
      return ['arm', ['5', '6', '8'].includes(variant) ? `v${variant}` : variant];
    default:
      return [arch, variant];
  }
}

/** The one form in which equal platforms are equal (containerd platforms.Normalize). */
export function normalizePlatform(p: Platform): Platform {
  const [architecture, variant] = normalizeArch(p.architecture, p.variant ?? '');
  const features = p.osFeatures === undefined ? undefined : [...new Set(p.osFeatures)].sort();
  return make(normalizeOs(p.os), architecture, variant, p.osVersion, features);
}

function decodeOption(text: string, specifier: string): string {
  try {
    return text.includes('%') ? decodeURIComponent(text) : text;
  } catch (error) {
    throw invalidArgument(`"${specifier}" has an invalid OS version "${text}": invalid argument`, { cause: error });
  }
}

function parseOs(part: string, specifier: string): { os: string; osVersion: string; osFeatures: string[] } {
  const found = OS_PART.exec(part);
  if (found === null) {
    throw invalidArgument(
      `"${part}" is an invalid OS component of "${specifier}": OSAndVersion specifier component must match ${OS_PART_TEXT}: invalid argument`,
    );
  }
  const features = (found[3] ?? '')
    .split('+')
    .slice(1)
    .map((f) => decodeOption(f, specifier));
  return { os: normalizeOs(found[1]), osVersion: decodeOption(found[2] ?? '', specifier), osFeatures: features };
}

/** `os[(version[+feature…])][/arch[/variant]]`, or an architecture alone. Throws InvalidArgument. */
export function parsePlatform(specifier: string): Platform {
  if (specifier.includes('*')) throw invalidArgument(`"${specifier}": wildcards not yet supported: invalid argument`);
  const parts = specifier.split('/');
  const { os, osVersion, osFeatures } = parseOs(parts[0], specifier);
  for (const part of parts.slice(1, 4)) {
    if (PART.test(part)) continue;
    throw invalidArgument(
      `"${part}" is an invalid component of "${specifier}": platform specifier component must match ${PART_TEXT}: invalid argument`,
    );
  }
  if (parts.length === 1) {
    const here = defaultPlatform();
    if (KNOWN_OS.has(os)) return make(os, here.architecture, '', osVersion, osFeatures);
    const [arch, variant] = normalizeArch(parts[0], '');
    if (KNOWN_ARCH.has(arch)) return make(here.os, arch, arch === 'arm' && variant === 'v7' ? '' : variant);
    throw invalidArgument(`"${specifier}": unknown operating system or architecture: invalid argument`);
  }
  if (parts.length === 2) {
    const [arch, variant] = normalizeArch(parts[1], '');
    return make(os, arch, arch === 'arm' && variant === 'v7' ? '' : variant, osVersion, osFeatures);
  }
  if (parts.length === 3) {
    const [arch, variant] = normalizeArch(parts[1], parts[2]);
    return make(os, arch, arch === 'arm64' && variant === '' ? 'v8' : variant, osVersion, osFeatures);
  }
  throw invalidArgument(`"${specifier}": cannot parse platform specifier: invalid argument`);
}

/** Throws InvalidArgument where a version is none: nothing would be compared with it. */
export function checkOsVersion(platform: Platform): void {
  const { os, osVersion = '' } = platform;
  if (os !== 'windows' || osVersion === '' || isWindowsVersion(osVersion)) return;
  throw invalidArgument(
    `${JSON.stringify(osVersion)} is no version of windows: it must be major.minor.build[.revision], at most 255.255.65535`,
  );
}

/** Parses all; throws `invalid platform X: …` for the first that is not one. */
export function parsePlatforms(specifiers: readonly string[]): Platform[] {
  return specifiers.map((specifier) => {
    try {
      return parsePlatform(specifier);
    } catch (error) {
      throw invalidArgument(`invalid platform ${specifier}: ${(error as Error).message}`, { cause: error });
    }
  });
}

const OPTION_ESCAPES: Readonly<Record<string, string>> = { '%': '%25', '+': '%2B', '(': '%28', ')': '%29', '/': '%2F' };
const escapeOption = (text: string): string => text.replace(/[%+()/]/g, (c) => OPTION_ESCAPES[c]);

function join(...parts: readonly string[]): string {
  return parts.filter((p) => p !== '').join('/');
}

/** `os/arch[/variant]`, without versions and features (platforms.Format). */
export function formatPlatformShort(p: Platform): string {
  return p.os === '' ? 'unknown' : join(p.os, p.architecture, p.variant ?? '');
}

/** `os[(version+feature…)]/arch[/variant]` (platforms.FormatAll): the key of a platform in maps of results. */
export function formatPlatform(p: Platform): string {
  if (p.os === '') return 'unknown';
  const version = escapeOption(p.osVersion ?? '');
  const features = [...new Set(p.osFeatures ?? [])].filter((f) => f !== '').sort();
  const options = [version, ...features.map((f) => `+${escapeOption(f)}`)].join('');
  return join(options === '' ? p.os : `${p.os}(${options})`, p.architecture, p.variant ?? '');
}

export function samePlatform(a: Platform, b: Platform): boolean {
  return formatPlatform(normalizePlatform(a)) === formatPlatform(normalizePlatform(b));
}
