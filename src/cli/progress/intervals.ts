/** When something ran; times are nanoseconds. Without `stop` it still runs. */
export interface Interval {
  readonly start: bigint;
  readonly stop?: bigint;
}

/** In order, those that touch or overlap made one. */
export function mergeIntervals(intervals: Iterable<Interval>): Interval[] {
  const merged: Interval[] = [];
  for (const next of [...intervals].toSorted((a, b) => (a.start < b.start ? -1 : a.start > b.start ? 1 : 0))) {
    const last = merged.at(-1);
    if (last === undefined || (last.stop !== undefined && last.stop < next.start)) merged.push(next);
    else if (last.stop !== undefined && (next.stop === undefined || next.stop > last.stop)) {
      merged[merged.length - 1] = { start: last.start, stop: next.stop };
    }
  }
  return merged;
}

export function totalSeconds(intervals: readonly Interval[], now: bigint): number {
  let total = 0;
  for (const { start, stop } of intervals) total += Number((stop ?? now) - start) / 1e9;
  return total;
}
