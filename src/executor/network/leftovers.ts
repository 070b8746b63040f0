import { logger, mapConcurrent } from '../../base/index.ts';
import type { NamespaceFolder } from './namespace-folder.ts';
import { dropBridge } from './own-bridge.ts';

/** Of plugins, which mostly wait for one another. */
const PARALLEL = 4;

/** A predecessor may have had any mode: what is left of it is ended in each. */
export async function clearLeftovers(folder: NamespaceFolder, bridgeMarker: string): Promise<void> {
  await mapConcurrent(folder.leftovers(), PARALLEL, async (id) => {
    try {
      await folder.remove(id);
    } catch (error) {
      logger.warn(`failed to release network namespace ${JSON.stringify(id)} left over from previous run`, { error });
    }
  });
  try {
    dropBridge(bridgeMarker);
  } catch (error) {
    logger.warn('bridge was not removed', { error });
  }
}
