/** The default system call filter: refuse with EPERM whatever is not listed. Pure: processor, kernel and capabilities come in. */
import { ALWAYS_ALLOWED, BY_ARCHITECTURE, BY_CAPABILITY, TRACING } from './syscalls.ts';

export interface SeccompArg {
  readonly index: number;
  readonly value: number;
  readonly valueTwo?: number;
  readonly op: 'SCMP_CMP_LT' | 'SCMP_CMP_EQ' | 'SCMP_CMP_GT' | 'SCMP_CMP_MASKED_EQ';
}

export interface SeccompRule {
  readonly names: readonly string[];
  readonly action: 'SCMP_ACT_ALLOW' | 'SCMP_ACT_ERRNO';
  readonly errnoRet?: number;
  readonly args?: readonly SeccompArg[];
}

export interface SeccompProfile {
  readonly defaultAction: 'SCMP_ACT_ERRNO';
  readonly defaultErrnoRet: number;
  readonly architectures?: readonly string[];
  readonly syscalls: readonly SeccompRule[];
}

export interface SeccompInput {
  /** In Go's naming: amd64, arm64, … */
  readonly architecture: string;
  /** As `uname -r` has it. */
  readonly kernelRelease: string;
  readonly bounding: readonly string[];
}

const EPERM = 1;
const ENOSYS = 38;
const AF_ALG = 38;
const AF_VSOCK = 40;
/** CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET. */
const NAMESPACE_FLAGS = 0x7e020000;
/** Linux, UNAME26 (0x20000), PER_LINUX32 (8), both, and the query. */
const PERSONALITIES = [0, 0x8, 0x20000, 0x20008, 0xffffffff];

/** The processor's own ABI first, then those that its kernel also runs. Others than these get libseccomp's native one. */
const ABIS: Readonly<Record<string, readonly string[]>> = {
  amd64: ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86', 'SCMP_ARCH_X32'],
  arm64: ['SCMP_ARCH_AARCH64', 'SCMP_ARCH_ARM'],
  mips64: ['SCMP_ARCH_MIPS64', 'SCMP_ARCH_MIPS', 'SCMP_ARCH_MIPS64N32'],
  mips64le: ['SCMP_ARCH_MIPSEL64', 'SCMP_ARCH_MIPSEL', 'SCMP_ARCH_MIPSEL64N32'],
  s390x: ['SCMP_ARCH_S390X', 'SCMP_ARCH_S390'],
  riscv64: ['SCMP_ARCH_RISCV64'],
};

export function defaultSeccomp(input: SeccompInput): SeccompProfile {
  const has = new Set(input.bounding);
  const rules: SeccompRule[] = [allow(ALWAYS_ALLOWED)];
  if (kernelAtLeast(input.kernelRelease, TRACING.since)) {
    rules.push(allow(TRACING.names));
  }
  // Kernel crypto and VM sockets reach host code that no namespace separates.
  rules.push(
    allow(['socket'], { index: 0, value: AF_ALG, op: 'SCMP_CMP_LT' }),
    allow(['socket'], { index: 0, value: AF_ALG + 1, op: 'SCMP_CMP_EQ' }),
    allow(['socket'], { index: 0, value: AF_VSOCK, op: 'SCMP_CMP_GT' }),
  );
  for (const value of PERSONALITIES) {
    rules.push(allow(['personality'], { index: 0, value, op: 'SCMP_CMP_EQ' }));
  }
  const native = BY_ARCHITECTURE[input.architecture];
  if (native !== undefined) {
    rules.push(allow(native));
  }
  for (const [capability, names] of Object.entries(BY_CAPABILITY)) {
    if (has.has(capability)) {
      rules.push(allow(names));
    }
  }
  if (!has.has('CAP_SYS_ADMIN')) {
    // s390 takes clone's stack first and its flags second.
    const index = input.architecture === 's390x' ? 1 : 0;
    rules.push(
      allow(['clone'], { index, value: NAMESPACE_FLAGS, op: 'SCMP_CMP_MASKED_EQ' }),
      // Its flags lie in memory, out of the filter's sight: "no such call" makes libc fall back to clone.
      { names: ['clone3'], action: 'SCMP_ACT_ERRNO', errnoRet: ENOSYS },
    );
  }
  const architectures = ABIS[input.architecture];
  return {
    defaultAction: 'SCMP_ACT_ERRNO',
    defaultErrnoRet: EPERM,
    ...(architectures === undefined ? {} : { architectures }),
    syscalls: rules,
  };
}

function allow(names: readonly string[], ...args: readonly SeccompArg[]): SeccompRule {
  return { names, action: 'SCMP_ACT_ALLOW', ...(args.length === 0 ? {} : { args }) };
}

function kernelAtLeast(release: string, [major, minor]: readonly [number, number]): boolean {
  const match = /^(\d+)\.(\d+)/.exec(release);
  if (match === null) {
    return false;
  }
  const [haveMajor, haveMinor] = [Number(match[1]), Number(match[2])];
  return haveMajor > major || (haveMajor === major && haveMinor >= minor);
}
