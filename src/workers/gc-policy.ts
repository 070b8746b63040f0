import type { PruneOptions } from '../storage/types.ts';

/** Bytes, or a part of the disk in percent. */
export interface DiskSpace {
  readonly bytes?: number;
  readonly percentage?: number;
}

export interface GcCaps {
  readonly reservedSpace?: DiskSpace;
  readonly maxUsedSpace?: DiskSpace;
  readonly minFreeSpace?: DiskSpace;
}

/** cmd/buildkitd/config/gcpolicy.go and gcpolicy_unix.go upstream, where all numbers here come from. */
const UNKNOWN_DISK = 2e9;
const HOUR_NS = 3_600_000_000_000n;

/** A part of the disk is rounded up in upstream's own way: GiB that are counted as GB. */
export function bytesOf(space: DiskSpace | undefined, diskBytes: number): number {
  if (space?.bytes !== undefined && space.bytes !== 0) return space.bytes;
  const { percentage = 0 } = space ?? {};
  if (percentage === 0) return 0;
  if (diskBytes === 0) return UNKNOWN_DISK;
  return (Math.floor(Math.floor((diskBytes * percentage) / 100) / 2 ** 30) + 1) * 1e9;
}

/** What a disk of that size is used for when nothing is configured. */
export function defaultGcCaps(diskBytes: number): GcCaps {
  const atMost = (percentage: number, bytes: number): DiskSpace =>
    bytesOf({ percentage }, diskBytes) > bytes ? { bytes } : { percentage };
  return { reservedSpace: atMost(10, 10e9), minFreeSpace: { percentage: 20 }, maxUsedSpace: atMost(80, 100e9) };
}

function isUnset(caps: GcCaps): boolean {
  return [caps.reservedSpace, caps.maxUsedSpace, caps.minFreeSpace].every(
    (space) => (space?.bytes ?? 0) === 0 && (space?.percentage ?? 0) === 0,
  );
}

/**
 * The four policies that hold when none are configured: what is made again most easily, what was not used for long, what
 * exceeds the caps, and internal records too when that was not enough.
 */
export function defaultGcPolicies(configured: GcCaps, diskBytes: number): readonly PruneOptions[] {
  const caps = isUnset(configured) ? defaultGcCaps(diskBytes) : configured;
  const space = {
    reservedSpace: bytesOf(caps.reservedSpace, diskBytes),
    maxUsedSpace: bytesOf(caps.maxUsedSpace, diskBytes),
    minFreeSpace: bytesOf(caps.minFreeSpace, diskBytes),
  };
  return [
    {
      filter: ['type==source.local', 'type==exec.cachemount', 'type==source.git.checkout'],
      keepDurationNs: 48n * HOUR_NS,
      maxUsedSpace: 512e6,
    },
    { keepDurationNs: 60n * 24n * HOUR_NS, ...space },
    space,
    { all: true, ...space },
  ];
}
