/**
 * The record of builds: which ran, how they ended, their logs and attestations. In come the facts of a build when it begins,
 * its progress and its end; out go events for listeners, replayed logs, traces and other blobs. It has a database and a store of blobs
 * of its own, so that pruning the cache leaves it alone. Deliberately absent: making attestations.
 */
export { History, openHistory } from './history.ts';
export type { HistoryOptions } from './history.ts';
export type { ActiveRecord, BuildFacts, BuildOutcome } from './active-record.ts';
export type { StatusLog } from './status-log.ts';
