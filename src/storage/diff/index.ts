/**
 * Layers as files: the difference of two trees as a tar, compressed and digested in one pass in a worker thread, and
 * existing layers in another compression. In come stacks of directories or a blob's file, out goes a file with its digests.
 * Deliberately absent: the content store, mounts.
 */
import { ThreadPool, workerEntry } from '../../base/index.ts';
import { callOptions } from './call-options.ts';
import type { ConvertRequest, LayerRequest, WorkOptions, WrittenLayer } from './types.ts';

export type { ConvertRequest, LayerRequest, WorkOptions, WrittenLayer } from './types.ts';

const pool = new ThreadPool(workerEntry(import.meta.url, 'layer-diff.worker'));

/** The bytes depend on the trees and the compression alone. Sockets are left out. */
export function writeLayer(request: LayerRequest, options: WorkOptions = {}): Promise<WrittenLayer> {
  return pool.call<WrittenLayer>('writeLayer', request, callOptions(options));
}

/** Without a clamp the tar's bytes, and so its diffId, stay. InvalidArgument for a blob that is broken. */
export function convertBlob(request: ConvertRequest, options: WorkOptions = {}): Promise<WrittenLayer> {
  return pool.call<WrittenLayer>('convertBlob', request, callOptions(options));
}

export function rewriteTimestamps(
  request: ConvertRequest & { readonly clampMtimeNs: bigint },
  options: WorkOptions = {},
): Promise<WrittenLayer> {
  return convertBlob(request, options);
}
