import { ExporterDefinition } from '../proto/session_exporter.pb.ts';
import type { SessionCaller } from './types.ts';

/** The client chooses its exporters after the build (row 2.2.14). */
export async function findExporters(
  caller: SessionCaller,
  metadata: ReadonlyMap<string, Uint8Array>,
  refs: readonly string[],
  signal?: AbortSignal,
): Promise<Array<{ type: string; attrs: ReadonlyMap<string, string> }>> {
  const { findExporters: method } = ExporterDefinition.methods;
  const request = { metadata: new Map(metadata), refs: [...refs] };
  const r = await caller.channel.unary(ExporterDefinition, method, request as never, { signal });
  return r.exporters.map((e) => ({ type: e.Type, attrs: e.Attrs }));
}

export async function finalizeExport(
  caller: SessionCaller,
  response: ReadonlyMap<string, string>,
  signal?: AbortSignal,
): Promise<void> {
  const request = { exporterResponse: new Map(response) };
  await caller.channel.unary(ExporterDefinition, ExporterDefinition.methods.finalizeExport, request, { signal });
}
