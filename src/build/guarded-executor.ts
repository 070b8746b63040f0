import type { Executor } from '../executor/types.ts';
import { authorizeProcess } from './entitlements.ts';
import type { Entitlement } from './entitlements.ts';

/** The executor as one build may use it. */
export function guardExecutor(executor: Executor, granted: ReadonlySet<Entitlement>): Executor {
  return {
    async run(id, root, mounts, meta, io, options) {
      authorizeProcess(granted, meta);
      await executor.run(id, root, mounts, meta, io, options);
    },
    async exec(id, meta, io, options) {
      authorizeProcess(granted, meta);
      await executor.exec(id, meta, io, options);
    },
  };
}
