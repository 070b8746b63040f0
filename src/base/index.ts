/**
 * Ground that every folder may stand on: the travelling error, waiting and sharing, time, ids, the log, progress of a
 * step, worker threads, regular expressions of strangers. Deliberately absent: anything that knows of builds, files or the network.
 */
export * from './errors.ts';
export * from './async.ts';
export * from './clock.ts';
export * from './ids.ts';
export * from './recent-ids.ts';
export * from './log.ts';
export * from './progress.ts';
export * from './step-log.ts';
export * from './threads.ts';
export * from './command-line.ts';
export * from './version.ts';
export * from './csv-fields.ts';
export * from './go-bool.ts';
export * from './go-duration.ts';
export * from './byte-size.ts';
export * from './regexp/index.ts';
