/** Namespaces that CNI plugins have connected: taken from a pool, or made for one container that has a name of its own. */
import { logger } from '../../base/index.ts';
import type { CniNetwork } from './cni-config.ts';
import { withInitLock } from './init-lock.ts';
import type { NamespaceFolder } from './namespace-folder.ts';
import { NamespacePool } from './namespace-pool.ts';
import type { NetworkLease, PlainNetworks } from './types.ts';

export interface CniPlan {
  readonly networks: readonly CniNetwork[];
  /** Where plugins are looked for. */
  readonly folders: readonly string[];
  readonly poolSize: number;
  readonly initLock: string | undefined;
  /** Called before the first namespace is made. */
  readonly onOpen?: () => void;
  /** Called when the last is gone. */
  readonly onClose?: () => void;
}

/** The step has done its work: that its network did not go well is no failure of the build. */
async function logged(id: string, release: Promise<void>): Promise<void> {
  try {
    await release;
  } catch (error) {
    logger.warn('network namespace was not cleared', { id, error });
  }
}

export function createCniNetworks(folder: NamespaceFolder, plan: CniPlan): PlainNetworks {
  const make = (hostname: string) => folder.make(plan.networks, plan.folders, hostname);
  const pool = new NamespacePool({ size: plan.poolSize, make: () => make(''), remove: (id) => folder.remove(id) });
  return {
    mode: 'cni',
    async open() {
      await withInitLock(plan.initLock, async () => {
        plan.onOpen?.();
        await pool.put(await pool.get());
      });
      pool.fill();
    },
    async acquire(hostname, signal): Promise<NetworkLease> {
      if (hostname !== '') {
        signal.throwIfAborted();
        const own = await make(hostname);
        return { network: { kind: 'path', path: own.path }, release: () => logged(own.id, folder.remove(own.id)) };
      }
      const namespace = await pool.get(signal);
      return {
        network: { kind: 'path', path: namespace.path },
        release: (isClean) => logged(namespace.id, isClean ? pool.put(namespace) : pool.discard(namespace)),
      };
    },
    async close() {
      await pool.close();
      try {
        plan.onClose?.();
      } catch (error) {
        logger.error('network was not removed', { error });
      }
    },
  };
}
