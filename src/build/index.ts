/**
 * The life of a build: what a client asks for becomes a job, a result and exports, remembered in the history. In come Solve
 * requests and gateway calls, out come responses. Deliberately absent: the services on the wire (control/), all wiring (daemon/).
 */
export { Builds } from './solve.ts';
export { GatewayForwarder } from './forwarder.ts';
export { BRIDGE_VALUE, Bridge } from './bridge.ts';
export type { BuildEnvironment, SourceMetaResolver, WorkerInfo } from './environment.ts';
export { describeStep } from './failed-step.ts';
export { judgeByAll } from './policy/index.ts';
export { parseEntitlement } from './entitlements.ts';
export type { Entitlement } from './entitlements.ts';
export { createResultStore } from './result-store.ts';
export { toTimestamp } from './history/wire-time.ts';
export { statusToWire } from './status-wire.ts';
export { platformToWire } from './gateway-wire.ts';
export { openHistory } from './history/index.ts';
export type { History } from './history/index.ts';
