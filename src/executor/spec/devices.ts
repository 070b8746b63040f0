/** Device nodes that a process outside the sandbox gets besides the runtime's usual ones. */

export interface OciDevice {
  readonly path: string;
  readonly type: 'c' | 'b';
  readonly major: number;
  readonly minor: number;
  readonly fileMode?: number;
  readonly uid?: number;
  readonly gid?: number;
}

const CHARACTER_DEVICES: readonly (readonly [string, number, number])[] = [
  ['/dev/kmsg', 1, 11],
  ['/dev/cuse', 10, 203],
  ['/dev/fuse', 10, 229],
  ['/dev/kvm', 10, 232],
  ['/dev/net/tun', 10, 200],
  ['/dev/loop-control', 10, 237],
];
const LOOP_MAJOR = 7;
/** Beyond the first free one, so that several can be attached while the process runs. */
const SPARE_LOOPS = 7;

export function insecureDevices(freeLoop: number): OciDevice[] {
  return [
    ...CHARACTER_DEVICES.map(([path, major, minor]) => ({ path, type: 'c' as const, major, minor })),
    ...Array.from({ length: freeLoop + SPARE_LOOPS + 1 }, (_, minor) => ({
      path: `/dev/loop${minor}`,
      type: 'b' as const,
      major: LOOP_MAJOR,
      minor,
    })),
  ];
}
