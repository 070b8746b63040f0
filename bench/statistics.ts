/** What is said about repeated measurements. */

/** What one round measured: figure names to values in the figures' units. */
export type Sample = Readonly<Record<string, number>>;

/** Half of the values are not greater, half are not smaller. Throws for none at all. */
export function median(values: readonly number[]): number {
  if (values.length === 0) throw new RangeError('the median of nothing');
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** The medians of a figure; undefined where no round measured it. */
export function medianOf(samples: readonly Sample[], figure: string): number | undefined {
  const values = samples.map((s) => s[figure]).filter((v) => v !== undefined);
  return values.length === 0 ? undefined : median(values);
}

/**
 * The median of the ratios of rounds that ran right after each other: what slows the machine down for a while slows both
 * sides of a pair, so this is steadier than the ratio of two medians. undefined where no round has both.
 */
export function medianRatio(ours: readonly Sample[], theirs: readonly Sample[], figure: string): number | undefined {
  const ratios = ours.flatMap((sample, round) => {
    const [mine, other] = [sample[figure], theirs[round]?.[figure]];
    return mine === undefined || other === undefined || other <= 0 ? [] : [mine / other];
  });
  return ratios.length === 0 ? undefined : median(ratios);
}
