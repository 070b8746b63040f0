import type { CallOptions } from '../../base/index.ts';
import type { WorkOptions } from './types.ts';

/** Jobs report their progress as bare numbers. */
export function callOptions({ signal, onProgress }: WorkOptions): CallOptions {
  return {
    ...(signal === undefined ? {} : { signal }),
    ...(onProgress === undefined ? {} : { onMessage: (bytes: number) => onProgress(bytes) }),
  };
}
