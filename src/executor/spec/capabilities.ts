/** Capability names by their number in the kernel, and the set that a sandboxed process gets. */

const NAMES = (
  'CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE ' +
  'NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN ' +
  'SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE ' +
  'MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE'
)
  .split(' ')
  .map((name) => `CAP_${name}`);

export const SANDBOX_CAPABILITIES: readonly string[] = (
  'CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT KILL ' +
  'AUDIT_WRITE'
)
  .split(' ')
  .map((name) => `CAP_${name}`);

/**
 * The effective capabilities in the text of `/proc/<pid>/status`: no container can be given more. Numbers that are
 * newer than the list are left out, since the runtime would not know their names either.
 */
export function effectiveCapabilities(status: string): readonly string[] {
  const match = /^CapEff:\s*([0-9a-f]+)$/m.exec(status);
  if (match === null) {
    return [];
  }
  const bits = BigInt(`0x${match[1]}`);
  return NAMES.filter((_, bit) => ((bits >> BigInt(bit)) & 1n) === 1n);
}
