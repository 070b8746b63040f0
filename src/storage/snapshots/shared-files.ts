/**
 * Files that several snapshots have: hard links instead of copies. Two rules make them safe.
 *
 * 1. A regular file of a snapshot is never written to in place, neither its data nor its attributes: whoever changes one writes
 *    beside it and renames. Steps see snapshots as the lower layers of an overlay, or (native) as copies. The one place where
 *    files are changed where they are, a cache mount's own snapshot, is never copied from.
 * 2. No chain shows two names of a file that the build did not make: neither a layer nor a step must see a hard link where
 *    there were two copies. So each snapshot knows where its files may have come from (its origins), and a file is linked only
 *    into a chain that has none of its origins.
 */
import type { SnapshotId, Snapshotter } from './types.ts';

/**
 * For each of `sources`, whether its files may get a name in the directory of `target`; what may is recorded as an origin
 * of `target` before the first link is made. Names in `target` itself that came from the same sources are the caller's to know.
 */
export function shareFiles(
  snapshotter: Snapshotter,
  sources: readonly SnapshotId[],
  target: SnapshotId,
): readonly boolean[] {
  const below = snapshotter.chain(target).slice(1);
  const taken = new Set([target, ...below.flatMap((id) => [...snapshotter.origins(id)])]);
  const may = sources.map(
    (source) =>
      // Files keep their paths: those of a snapshot of the chain itself only hide their own first name.
      below.includes(source) || [...snapshotter.origins(source)].every((origin) => !taken.has(origin)),
  );
  const origins = sources.flatMap((source, i) => (may[i] === true ? [...snapshotter.origins(source)] : []));
  if (origins.length > 0) snapshotter.addOrigins(target, origins);
  return may;
}
