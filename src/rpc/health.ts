/** grpc.health.v1: everything that this server has is serving for as long as it runs. */
import { notFound } from '../base/index.ts';
import { HealthCheckResponse_ServingStatus, HealthDefinition } from '../proto/health.pb.ts';
import type { Server } from './types.ts';

export function addHealth(server: Server): void {
  const check = (service: string) => {
    const known = service === '' || server.methods().some((path) => path.startsWith(`/${service}/`));
    if (!known) throw notFound('unknown service');
    return { status: HealthCheckResponse_ServingStatus.SERVING };
  };
  server.add(HealthDefinition, {
    check: async (request) => check(request.service),
  });
}
