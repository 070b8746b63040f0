import { ContentDefinition } from '../proto/content.pb.ts';
import { LLBBridgeDefinition } from '../proto/gateway.pb.ts';
import { addHealth, addReflection } from '../rpc/index.ts';
import type { Server } from '../rpc/index.ts';
import { contentHandlers } from './content-service.ts';
import { Control, controlHandlers } from './control-service.ts';
import type { ControlDeps } from './deps.ts';
import { addTraceService } from './trace-service.ts';

/** Everything that clients find on the daemon's sockets. */
export function addServices(server: Server, deps: ControlDeps): void {
  server.add(Control, controlHandlers(deps));
  server.add(LLBBridgeDefinition, deps.forwarder.handlers());
  server.add(ContentDefinition, contentHandlers(deps.history.content));
  addTraceService(server, deps.traces);
  addHealth(server);
  addReflection(server);
}
