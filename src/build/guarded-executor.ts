import type { Executor, ProcessMeta } from '../executor/types.ts';
import { authorizeProcess } from './entitlements.ts';
import type { Entitlement } from './entitlements.ts';

/** The executor as one build may use it. `proxy`: what has a network gets it through one. */
export function guardExecutor(
  executor: Executor,
  granted: ReadonlySet<Entitlement>,
  proxy?: ProcessMeta['proxy'],
): Executor {
  return {
    async run(id, root, mounts, meta, io, options) {
      authorizeProcess(granted, meta);
      await executor.run(id, root, mounts, proxy === undefined ? meta : { ...meta, proxy }, io, options);
    },
    async exec(id, meta, io, options) {
      authorizeProcess(granted, meta);
      await executor.exec(id, meta, io, options);
    },
  };
}
