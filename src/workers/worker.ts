import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { logger, randomId } from '../base/index.ts';
import type { Platform } from '../oci/types.ts';
import type { PruneOptions } from '../storage/types.ts';
import { detectPlatforms } from './platforms.ts';

const PREFIX = 'org.mobyproject.buildkit.worker.';

/** Label keys (worker/label/label.go upstream). */
export const WorkerLabel = {
  executor: `${PREFIX}executor`,
  snapshotter: `${PREFIX}snapshotter`,
  hostname: `${PREFIX}hostname`,
  network: `${PREFIX}network`,
  apparmorProfile: `${PREFIX}apparmor.profile`,
  selinuxEnabled: `${PREFIX}selinux.enabled`,
  processMode: `${PREFIX}oci.process-mode`,
} as const;

export interface Worker {
  readonly id: string;
  readonly labels: ReadonlyMap<string, string>;
  /** Emulators come and go: those found within the last 20 seconds, or the configured ones and these. */
  platforms(): readonly Platform[];
  readonly gcPolicy: readonly PruneOptions[];
}

export interface WorkerOptions {
  /** The worker's id is kept in `<root>/workerid`. */
  readonly root: string;
  readonly snapshotter: string;
  readonly executor?: string;
  /** The network that steps get by default: `host` or `cni`, of which a bridge is one. */
  readonly network: string;
  readonly processMode?: 'sandbox' | 'no-sandbox';
  readonly selinux?: boolean;
  readonly apparmorProfile?: string;
  readonly hostname?: string;
  /** Added to the labels, over those of the same key. */
  readonly labels?: ReadonlyMap<string, string> | Readonly<Record<string, string>>;
  /** Replaces what is detected. */
  readonly platforms?: readonly Platform[];
  readonly gcPolicy?: readonly PruneOptions[];
}

/** How long emulators that were found are believed in (util/archutil/detect.go CacheMaxAge). */
const PLATFORMS_MAX_AGE_MS = 20_000;

function persistentId(root: string): string {
  const path = join(root, 'workerid');
  try {
    const id = readFileSync(path, 'utf8').trim();
    if (/^[0-9a-z]{1,64}$/.test(id)) return id;
    logger.warn('worker id is damaged: a new one is made', { path });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  const id = randomId();
  mkdirSync(root, { recursive: true, mode: 0o711 });
  writeFileSync(`${path}.new`, id, { flush: true, mode: 0o400 });
  renameSync(`${path}.new`, path);
  return id;
}

export function createWorker(options: WorkerOptions): Worker {
  const added = options.labels instanceof Map ? options.labels : new Map(Object.entries(options.labels ?? {}));
  const labels = new Map<string, string>([
    [WorkerLabel.executor, options.executor ?? 'oci'],
    [WorkerLabel.snapshotter, options.snapshotter],
    [WorkerLabel.hostname, options.hostname ?? hostname()],
    [WorkerLabel.network, options.network],
    [WorkerLabel.processMode, options.processMode ?? 'sandbox'],
    [WorkerLabel.selinuxEnabled, String(options.selinux ?? false)],
    ...(options.apparmorProfile === undefined || options.apparmorProfile === ''
      ? []
      : ([[WorkerLabel.apparmorProfile, options.apparmorProfile]] as const)),
    ...added,
  ]);
  const fixed = options.platforms ?? [];
  let found: readonly Platform[] = [];
  let foundAt = -Infinity;
  return {
    id: persistentId(options.root),
    labels,
    platforms: () => {
      if (fixed.length > 0) return fixed;
      if (performance.now() - foundAt > PLATFORMS_MAX_AGE_MS) {
        found = detectPlatforms();
        foundAt = performance.now();
      }
      return found;
    },
    gcPolicy: options.gcPolicy ?? [],
  };
}
