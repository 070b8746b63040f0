/**
 * The daemon's gRPC services on its socket: Control, the LLBBridge forwarder, reading of history blobs, health and the trace
 * sink. In come messages, checked here; out go messages. Deliberately absent: everything that they ask for.
 */
export { addServices } from './services.ts';
export { addTraceService } from './trace-service.ts';
export type { ControlDeps } from './deps.ts';
