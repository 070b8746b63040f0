import type { TimeNs } from '../../base/index.ts';
import type { Timestamp } from '../../proto/google/protobuf/timestamp.pb.ts';

const SECOND = 1_000_000_000n;

export function toTimestamp(time: TimeNs): Timestamp {
  return { seconds: time / SECOND, nanos: Number(time % SECOND) };
}

/** 1970 when there is none. */
export function fromTimestamp(timestamp: Timestamp | undefined): TimeNs {
  return timestamp === undefined ? 0n : timestamp.seconds * SECOND + BigInt(timestamp.nanos);
}
