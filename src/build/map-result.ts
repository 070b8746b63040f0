import type { BuildResult } from '../llb/index.ts';

/** The same result with other refs. */
export function mapResult<A, B>(result: BuildResult<A>, map: (ref: A) => B): BuildResult<B> {
  return {
    ref: result.ref === undefined ? undefined : map(result.ref),
    refs: result.refs && new Map([...result.refs].map(([platform, ref]) => [platform, map(ref)])),
    metadata: result.metadata,
    attestations:
      result.attestations &&
      new Map(
        [...result.attestations].map(([platform, list]) => [
          platform,
          list.map((a) => ({ ...a, ref: a.ref === undefined ? undefined : map(a.ref) })),
        ]),
      ),
  };
}

/** {@link mapResult} where a ref takes time; all are waited for, the first error is thrown. */
export async function mapResultAsync<A, B>(
  result: BuildResult<A>,
  map: (ref: A) => Promise<B>,
): Promise<BuildResult<B>> {
  const done = new Map<A, Promise<B>>();
  const started: Promise<unknown>[] = [];
  mapResult(result, (ref) => {
    if (!done.has(ref)) {
      const promise = map(ref);
      done.set(ref, promise);
      started.push(promise);
    }
  });
  const values = new Map<A, B>();
  await Promise.allSettled(started);
  for (const [ref, promise] of done) values.set(ref, await promise);
  return mapResult(result, (ref) => values.get(ref) as B);
}
