/** Programs that run those of other machines, where the kernel does not know any (upstream: solver/llbsolver/ops/exec_binfmt.go). */
import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { BuildError, Code, logger } from '../../base/index.ts';
import type { ExecMount } from '../../executor/types.ts';
import { formatPlatform, normalizePlatform, platformMatcher } from '../../oci/index.ts';
import type { Platform } from '../../oci/types.ts';

/** Where the process finds it. */
export const EMULATOR = '/dev/.buildkit_qemu_emulator';

/** QEMU's names of architectures that have another one in OCI. */
const QEMU: Readonly<Record<string, string>> = { arm64: 'aarch64', amd64: 'x86_64', '386': 'i386' };

/**
 * The program `buildkit-qemu-<architecture>` of `path` (as the variable PATH) for a platform that is not among `supported`;
 * undefined where none is needed, or none is there: then the kernel says what is wrong. Throws Unknown for levels of amd64
 * beyond this machine's, which nothing emulates.
 */
export function findEmulator(
  wanted: Platform,
  supported: readonly Platform[],
  path: string | undefined,
): string | undefined {
  const platform = normalizePlatform(wanted);
  if (supported.some((one) => platformMatcher(one).match(platform))) return undefined;
  const { architecture, variant = '' } = platform;
  if (architecture === 'amd64' && variant !== '' && variant !== 'v2') {
    const levels = supported.filter((one) => one.architecture === 'amd64').map(formatPlatform);
    const message = `no support for running processes with ${formatPlatform(platform)} platform, supported: ${levels.join(', ')}`;
    throw new BuildError(Code.Unknown, message);
  }
  const name = `buildkit-qemu-${QEMU[architecture] ?? architecture}`;
  const found = (path ?? '').split(delimiter).map((folder) => join(folder, name));
  const program = found.find(isProgram);
  if (program === undefined) logger.warn(`exec: "${name}": executable file not found in $PATH`);
  return program;
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

export function emulatorMount(program: string): ExecMount {
  return {
    source: {
      mounts: async () => ({
        mounts: [{ type: 'bind', source: program, options: ['ro', 'bind'] }],
        release: async () => {},
      }),
    },
    selector: '',
    dest: EMULATOR,
    readonly: true,
  };
}
