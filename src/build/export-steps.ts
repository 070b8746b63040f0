/** The steps that a build shows after its own: exporters, caches, and what exporters do once all of them have ended. */
import { oneLine, randomId } from '../base/index.ts';
import type { ExportContext, ExporterInstance, ExportOutcome } from '../exporters/types.ts';
import type { BuildResult } from '../llb/index.ts';
import { digestOf } from '../oci/index.ts';
import { compressionOfAttrs, inlineCacheOf } from '../remotecache/index.ts';
import type { CacheExporter } from '../remotecache/index.ts';
import type { CachedResult, Job } from '../solver/index.ts';
import type { ImmutableRef } from '../storage/index.ts';
import { refsOf } from './bridge.ts';
import type { LazyRef } from './lazy-ref.ts';

/** Refs with the keys that they were found by. */
type CachedRefs = ReadonlyMap<ImmutableRef, CachedResult>;

export async function cachedResults(
  result: BuildResult<LazyRef | undefined>,
  signal: AbortSignal,
): Promise<CachedRefs> {
  const found = new Map<ImmutableRef, CachedResult>();
  for (const lazy of refsOf(result)) {
    const ref = await lazy.immutable(signal);
    if (ref !== undefined) found.set(ref, await lazy.result(signal));
  }
  return found;
}

/** What the images of that exporter carry of the cache. */
function inlineCacheFor(
  exporter: ExporterInstance,
  cached: CachedRefs,
  context: ExportContext,
): NonNullable<ExportContext['inlineCache']> {
  const { signal, progress, sessionId } = context;
  const storage = { signal, progress, sessions: () => (sessionId === '' ? [] : [sessionId]) };
  return async (ref) => {
    const result = cached.get(ref);
    if (result === undefined) return undefined;
    return await oneLine(progress, 'preparing layers for inline cache', () =>
      inlineCacheOf(result, compressionOfAttrs(exporter.attrs), storage),
    );
  };
}

/** Digest of an exporter's vertex (upstream: solver/llbsolver/export.go). */
function exporterVertex(sessionId: string, index: number): string {
  return digestOf(`${sessionId}-export-${index}`);
}

function warnAt(job: Job, digest: string, warnings: readonly string[]): void {
  for (const text of warnings) job.warn(digest, { level: 0, short: Buffer.from(text) });
}

/** Where there is no exporter whose step could show them. */
export async function verifyStep(job: Job, warnings: readonly string[], signal: AbortSignal): Promise<void> {
  const digest = digestOf(randomId());
  await job.step({ digest, name: 'Verifying build result' }, async () => warnAt(job, digest, warnings), signal);
}

export async function runExports(
  job: Job,
  sessionId: string,
  exporters: readonly ExporterInstance[],
  result: BuildResult<ImmutableRef | undefined>,
  signal: AbortSignal,
  cached: CachedRefs | undefined,
  warnings: readonly string[],
): Promise<ExportOutcome[]> {
  const running = exporters.map((exporter, index) => {
    const digest = exporterVertex(sessionId === '' ? randomId() : sessionId, index);
    return job.step(
      { digest, name: exporter.name },
      (stepContext) => {
        if (index === 0) warnAt(job, digest, warnings);
        const context = exportContext(stepContext, sessionId, index);
        const inline = cached === undefined ? {} : { inlineCache: inlineCacheFor(exporter, cached, context) };
        return exporter.export(result, { ...context, ...inline });
      },
      signal,
    );
  });
  const settled = await Promise.allSettled(running);
  return settled.map((one) => {
    if (one.status === 'rejected') throw one.reason;
    return one.value;
  });
}

export async function exportCaches(
  job: Job,
  sessionId: string,
  exporters: readonly CacheExporter[],
  results: readonly CachedResult[],
  signal: AbortSignal,
): Promise<Map<string, string>> {
  const running = exporters.map(async (exporter, index) => {
    const digest = digestOf(`${sessionId}-cache-${index}`);
    try {
      return await job.step(
        { digest, name: exporter.name },
        ({ signal: stepSignal, progress }) => exporter.export(results, { signal: stepSignal, progress, sessionId }),
        signal,
      );
    } catch (error) {
      if (!exporter.ignoreError || signal.aborted) throw error;
      return new Map<string, string>();
    }
  });
  const responses: { readonly entries: ReadonlyMap<string, string>; readonly last: boolean }[] = [];
  for (const [index, one] of (await Promise.allSettled(running)).entries()) {
    if (one.status === 'rejected') throw one.reason;
    responses.push({ entries: one.value, last: exporters[index].isAtClient });
  }
  // The answer has room for one manifest. It is for clients, which name it in a layout of theirs: a registry has named its own.
  responses.sort((a, b) => Number(a.last) - Number(b.last));
  return new Map(responses.flatMap(({ entries }) => [...entries]));
}

export async function finalizeExports(
  job: Job,
  sessionId: string,
  exporters: readonly ExporterInstance[],
  outcomes: readonly ExportOutcome[],
  signal: AbortSignal,
): Promise<void> {
  const running = outcomes.map(async ({ finalize }, index) => {
    if (finalize === undefined) return;
    await job.step(
      { digest: exporterVertex(sessionId, index), name: exporters[index].name },
      (context) => finalize(exportContext(context, sessionId, index)),
      signal,
    );
  });
  for (const one of await Promise.allSettled(running)) if (one.status === 'rejected') throw one.reason;
}

function exportContext(
  context: { signal: AbortSignal; progress: ExportContext['progress'] },
  sessionId: string,
  exporterIndex: number,
): ExportContext {
  return { signal: context.signal, progress: context.progress, sessionId, exporterIndex };
}
