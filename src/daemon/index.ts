/**
 * The daemon: configuration and all wiring. In comes a checked {@link DaemonConfig}, out comes something that listens and can be
 * closed. Deliberately absent: what a build is.
 */
export { startDaemon } from './start-daemon.ts';
export type { Daemon } from './start-daemon.ts';
export { DEFAULT_ADDRESS, DEFAULT_CONFIG, DEFAULT_ROOT, loadConfig, parseConfig } from './config.ts';
export type { DaemonConfig } from './config.ts';
