import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Platform } from '../oci/types.ts';

/** What platforms follow from. */
export interface PlatformFacts {
  /** As process.arch. */
  readonly arch: string;
  /** /proc/cpuinfo's flags of the first processor. */
  readonly cpuFlags: ReadonlySet<string>;
  /** Architectures that binfmt_misc runs by an emulator, as OCI names them. */
  readonly emulated: ReadonlySet<string>;
}

/** process.arch to GOARCH. */
const ARCHITECTURES: Readonly<Record<string, string>> = {
  x64: 'amd64',
  arm64: 'arm64',
  arm: 'arm',
  ia32: '386',
  ppc64: 'ppc64le',
  s390x: 's390x',
  riscv64: 'riscv64',
  loong64: 'loong64',
};

/** Flags that each microarchitecture level adds (x86-64 psABI; pni is SSE3, abm has LZCNT). */
const AMD64_LEVELS: ReadonlyArray<readonly [string, readonly string[]]> = [
  ['v2', ['cx16', 'lahf_lm', 'popcnt', 'pni', 'sse4_1', 'sse4_2', 'ssse3']],
  ['v3', ['avx', 'avx2', 'bmi1', 'bmi2', 'f16c', 'fma', 'abm', 'movbe']],
  ['v4', ['avx512f', 'avx512bw', 'avx512cd', 'avx512dq', 'avx512vl']],
];

/** In upstream's order (util/archutil/detect.go), the machine's own first. */
const OTHERS = ['arm64', 'riscv64', 'ppc64', 'ppc64le', 's390x', '386', 'mips64le', 'mips64', 'loong64'];

const linux = (architecture: string, variant?: string): Platform =>
  variant === undefined ? { os: 'linux', architecture } : { os: 'linux', architecture, variant };

function amd64Levels(flags: ReadonlySet<string>): string[] {
  const levels: string[] = [];
  for (const [level, needed] of AMD64_LEVELS) {
    if (!needed.every((flag) => flags.has(flag))) break;
    levels.push(level);
  }
  return levels;
}

/** The platforms that processes can be run for here. */
export function detectPlatforms(facts: PlatformFacts = readPlatformFacts()): readonly Platform[] {
  const own = ARCHITECTURES[facts.arch] ?? facts.arch;
  // A 64-bit x86 processor runs 32-bit programs itself.
  const runs = (arch: string): boolean => facts.emulated.has(arch) || (arch === '386' && own === 'amd64');
  const found: Platform[] = [own === 'arm' ? linux('arm', 'v7') : linux(own)];
  if (own === 'amd64') found.push(...amd64Levels(facts.cpuFlags).map((level) => linux('amd64', level)));
  else if (runs('amd64')) found.push(linux('amd64'));
  for (const arch of OTHERS) if (arch !== own && runs(arch)) found.push(linux(arch));
  if (own !== 'arm' && runs('arm')) found.push(linux('arm', 'v7'), linux('arm', 'v6'));
  return found;
}

/** ELF's e_machine, with the class and byte order where one number stands for several. */
function architectureOfMagic(magic: Uint8Array): string | undefined {
  if (magic.length < 20 || Buffer.from(magic.subarray(0, 4)).toString('latin1') !== '\x7fELF') return undefined;
  const wide = magic[4] === 2;
  const little = magic[5] === 1;
  const view = new DataView(magic.buffer, magic.byteOffset, magic.byteLength);
  switch (view.getUint16(18, little)) {
    case 0x03:
      return '386';
    case 0x08:
      return wide ? (little ? 'mips64le' : 'mips64') : undefined;
    case 0x15:
      return little ? 'ppc64le' : 'ppc64';
    case 0x16:
      return 's390x';
    case 0x28:
      return 'arm';
    case 0x3e:
      return 'amd64';
    case 0xb7:
      return 'arm64';
    case 0xf3:
      return wide ? 'riscv64' : undefined;
    case 0x102:
      return 'loong64';
    default:
      return undefined;
  }
}

/** The architecture that one entry of binfmt_misc stands for; undefined when it is off or for something else. */
export function architectureOfEntry(text: string): string | undefined {
  if (!text.startsWith('enabled')) return undefined;
  const magic = /^magic ([0-9a-f]+)$/m.exec(text)?.[1];
  return magic === undefined ? undefined : architectureOfMagic(Buffer.from(magic, 'hex'));
}

function emulatedArchitectures(directory: string): Set<string> {
  const found = new Set<string>();
  let names: string[];
  try {
    names = readdirSync(directory);
  } catch {
    return found; // not mounted
  }
  for (const name of names) {
    if (name === 'register' || name === 'status') continue;
    try {
      const arch = architectureOfEntry(readFileSync(join(directory, name), 'utf8'));
      if (arch !== undefined) found.add(arch);
    } catch {
      // Taken away while we look.
    }
  }
  return found;
}

function readPlatformFacts(): PlatformFacts {
  let flags = '';
  try {
    flags = /^flags\s*: (.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1] ?? '';
  } catch {
    // No /proc: the lowest level is assumed.
  }
  return {
    arch: process.arch,
    cpuFlags: new Set(flags.split(' ')),
    emulated: emulatedArchitectures('/proc/sys/fs/binfmt_misc'),
  };
}
