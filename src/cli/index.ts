/**
 * buildctl: in come a command line and the standard streams, out go calls of the client, progress and an exit code.
 * Deliberately absent: the daemon; one in the same process is handed in as a hook.
 */
export { runProgram } from './program.ts';
export type { ProgramHooks, ProgramStreams } from './program.ts';
export { runMain } from './main.ts';
