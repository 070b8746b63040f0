/**
 * Layers as files: the difference of two trees as a tar, compressed and digested in one pass in a worker thread, and
 * existing layers in another compression. In come stacks of directories or a blob's file, out goes a file with its digests.
 * Deliberately absent: the content store, mounts.
 */
import type { ConvertRequest, LayerRequest, WorkOptions, WrittenLayer } from './types.ts';

export type { ConvertRequest, LayerRequest, WorkOptions, WrittenLayer } from './types.ts';

export function writeLayer(_request: LayerRequest, _options: WorkOptions = {}): Promise<WrittenLayer> {
  throw new Error('not yet');
}

export function convertBlob(_request: ConvertRequest, _options: WorkOptions = {}): Promise<WrittenLayer> {
  throw new Error('not yet');
}

export function rewriteTimestamps(
  request: ConvertRequest & { readonly clampMtimeNs: bigint },
  options: WorkOptions = {},
): Promise<WrittenLayer> {
  return convertBlob(request, options);
}
