import { notFound } from '../base/index.ts';
import { RefResult, refOf } from '../ops/index.ts';
import type { Result, ResultStore } from '../solver/index.ts';
import type { CacheAccessor } from '../storage/types.ts';

/** Results as the cache keeps them: by the id of their record. An empty id is scratch. A record that went is NotFound: a miss. */
export function createResultStore(accessor: CacheAccessor, workerId: string): ResultStore {
  const recordId = (id: string): string => {
    const prefix = `${workerId}::`;
    if (!id.startsWith(prefix)) throw notFound(`result ${id} is of another worker`);
    return id.slice(prefix.length);
  };
  return {
    async save(result: Result, createdAt: bigint) {
      // Without it the record would go with its last ref.
      await refOf(result)?.metadata.setRetain(true);
      return { id: result.id, createdAt };
    },
    async load(id: string) {
      const record = recordId(id);
      return new RefResult(workerId, record === '' ? undefined : await accessor.get(record));
    },
    async exists(id: string) {
      try {
        const record = recordId(id);
        if (record !== '') await (await accessor.get(record)).release();
        return true;
      } catch {
        return false;
      }
    },
  };
}
