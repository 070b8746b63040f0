import { nowNs } from './clock.ts';
import type { TimeNs } from './clock.ts';

/** One line below a step, e.g. `sha256:… 1.2MB / 3.4MB`: the newest update of an id replaces the one before. */
export interface StatusUpdate {
  readonly id: string;
  /** The text shown when it differs from the id. */
  readonly name?: string;
  readonly current?: number;
  readonly total?: number;
  readonly started?: TimeNs;
  readonly completed?: TimeNs;
}

export interface WarningUpdate {
  readonly level: number;
  readonly short: Uint8Array;
  readonly detail?: readonly Uint8Array[];
  readonly url?: string;
  readonly sourceInfo?: unknown;
  readonly ranges?: readonly unknown[];
}

/** Where work that belongs to one step reports to. Never throws, never waits. */
export interface StepProgress {
  status(update: StatusUpdate): void;
  /** stream 1 = stdout, 2 = stderr. */
  log(stream: 1 | 2, data: Uint8Array): void;
  warn(update: WarningUpdate): void;
}

export const noProgress: StepProgress = { status() {}, log() {}, warn() {} };

/** A line of progress that lasts as long as `work`, whether it fails or not. */
export async function oneLine<T>(progress: StepProgress, id: string, work: () => Promise<T>): Promise<T> {
  const started = nowNs();
  progress.status({ id, started });
  try {
    return await work();
  } finally {
    progress.status({ id, started, completed: nowNs() });
  }
}
