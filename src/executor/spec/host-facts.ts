/** What a spec depends on besides its input, read from this host's /proc and /sys. */
import { existsSync, readFileSync } from 'node:fs';
import { release } from 'node:os';
import { effectiveCapabilities } from './capabilities.ts';
import { cgroupMode } from './resources.ts';
import type { CgroupMode } from './resources.ts';

export interface HostFacts {
  /** In Go's naming. */
  readonly architecture: string;
  readonly kernelRelease: string;
  readonly seccomp: boolean;
  readonly cgroup: CgroupMode;
  readonly cgroupNamespace: boolean;
  /** What this process may do, hence the most that it can hand on. */
  readonly capabilities: readonly string[];
  /** Where this is so, no device node can be made. */
  readonly inUserNamespace: boolean;
  /** Number of the first loop device without a file behind it. */
  readonly freeLoop: number;
}

const ARCHITECTURES: Readonly<Record<string, string>> = {
  x64: 'amd64',
  ia32: '386',
  ppc64: 'ppc64le',
};
const MAX_LOOPS = 256;

let fixed: Omit<HostFacts, 'freeLoop'> | undefined;

/** Only the loop devices change while the daemon runs; the rest is read once. */
export function hostFacts(): HostFacts {
  fixed ??= readFixed();
  return { ...fixed, freeLoop: freeLoop() };
}

function readFixed(): Omit<HostFacts, 'freeLoop'> {
  const status = text('/proc/self/status');
  const idMap = text('/proc/self/uid_map').trim().split(/\s+/);
  return {
    architecture: ARCHITECTURES[process.arch] ?? process.arch,
    kernelRelease: release(),
    seccomp: /^Seccomp:/m.test(status),
    cgroup: cgroupMode(text('/proc/self/mountinfo')),
    cgroupNamespace: existsSync('/proc/self/ns/cgroup'),
    capabilities: effectiveCapabilities(status),
    inUserNamespace: idMap.length === 3 && idMap.join(' ') !== '0 0 4294967295',
  };
}

function freeLoop(): number {
  let number = 0;
  while (number < MAX_LOOPS && existsSync(`/sys/block/loop${number}/loop/backing_file`)) {
    number += 1;
  }
  return number;
}

function text(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
