/** Options as fstab and containerd write them, as flags of mount(2). */
export const MS_RDONLY = 1;
export const MS_REMOUNT = 32;
export const MS_BIND = 4096;
export const MS_REC = 16384;

const FLAGS: Readonly<Record<string, readonly [number, boolean]>> = {
  defaults: [0, true],
  ro: [MS_RDONLY, true],
  rw: [MS_RDONLY, false],
  nosuid: [2, true],
  suid: [2, false],
  nodev: [4, true],
  dev: [4, false],
  noexec: [8, true],
  exec: [8, false],
  sync: [16, true],
  async: [16, false],
  remount: [MS_REMOUNT, true],
  mand: [64, true],
  nomand: [64, false],
  dirsync: [128, true],
  noatime: [1024, true],
  atime: [1024, false],
  nodiratime: [2048, true],
  diratime: [2048, false],
  bind: [MS_BIND, true],
  rbind: [MS_BIND | MS_REC, true],
  relatime: [1 << 21, true],
  norelatime: [1 << 21, false],
  strictatime: [1 << 24, true],
  nostrictatime: [1 << 24, false],
};

const PROPAGATION: Readonly<Record<string, number>> = {
  unbindable: 1 << 17,
  runbindable: (1 << 17) | MS_REC,
  private: 1 << 18,
  rprivate: (1 << 18) | MS_REC,
  slave: 1 << 19,
  rslave: (1 << 19) | MS_REC,
  shared: 1 << 20,
  rshared: (1 << 20) | MS_REC,
};

export interface MountFlags {
  readonly flags: number;
  /** Each a call of its own. */
  readonly propagation: readonly number[];
  readonly data: readonly string[];
}

export function parseMountOptions(options: readonly string[]): MountFlags {
  let flags = 0;
  const propagation: number[] = [];
  const data: string[] = [];
  for (const option of options) {
    const flag = FLAGS[option];
    const kind = PROPAGATION[option];
    if (flag !== undefined) flags = flag[1] ? flags | flag[0] : flags & ~flag[0];
    else if (kind !== undefined) propagation.push(kind);
    else if (option !== '') data.push(option);
  }
  return { flags, propagation, data };
}
