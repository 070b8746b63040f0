/** What strangers may take of this daemon, as the file's own section `[limits]` says it; upstream has no such section. */
import type { ArchiveLimits } from '../archive/index.ts';
import { invalidArgument } from '../base/index.ts';
import type { Table } from './config-table.ts';

export interface LimitsConfig {
  /** How long a server of files or of a git repository may send nothing. Some make what they send while one waits. */
  readonly sourceIdleMs: number;
  /** The same for registries. */
  readonly registryIdleMs: number;
  /** Of layers, and of archives that ADD unpacks; what is not said here is as src/archive has it. */
  readonly archive: Partial<ArchiveLimits>;
}

/** The longest time that a timer takes. */
const MAX_MS = 2 ** 31 - 1;

/** Git counts whole seconds. */
function idleMs(t: Table, key: string, fallback: number): number {
  const ns = t.durationNs(key);
  if (ns === undefined) return fallback;
  const ms = Number(ns / 1_000_000n);
  if (ms < 1000 || ms > MAX_MS)
    throw invalidArgument(`invalid config: ${t.at(key)} must be between 1s and ${MAX_MS}ms`);
  return ms;
}

function positive(t: Table, key: string): number | undefined {
  const value = t.int(key);
  if (value !== undefined && value <= 0) throw invalidArgument(`invalid config: ${t.at(key)} must be greater than 0`);
  return value;
}

function bytes(t: Table, key: string): number | undefined {
  const space = t.diskSpace(key);
  if (space === undefined) return undefined;
  if (space.bytes === undefined || space.bytes <= 0) {
    throw invalidArgument(`invalid config: ${t.at(key)} must be a size greater than 0`);
  }
  return space.bytes;
}

export function readLimits(t: Table): LimitsConfig {
  const archive = t.table('archive');
  const given = {
    maxEntries: positive(archive, 'maxEntries'),
    maxDepth: positive(archive, 'maxDepth'),
    maxTotalBytes: bytes(archive, 'maxTotalSize'),
    maxFileBytes: bytes(archive, 'maxFileSize'),
    maxRatio: positive(archive, 'maxRatio'),
  };
  return {
    sourceIdleMs: idleMs(t, 'sourceIdleTimeout', 300_000),
    registryIdleMs: idleMs(t, 'registryIdleTimeout', 60_000),
    archive: Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
  };
}
