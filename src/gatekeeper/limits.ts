/** Of one step's proxy. */

/** Connections of the step, and as many to servers. */
export const MAX_CONNECTIONS = 1024;
/** Requests that wait for their ends: more than one of a connection only where the step does not wait for answers. */
export const MAX_RUNNING = 2 * MAX_CONNECTIONS;
export const MAX_HEADER_BYTES = 256 * 1024;
/** How long the step may take to say what it wants. */
export const MAX_HEADER_MS = 30_000;
/** How long either side may be silent: some servers make what they send while one waits. */
export const SILENCE_MS = 300_000;
/** How long a step may keep a connection without a request. */
export const MAX_IDLE_MS = 60_000;
