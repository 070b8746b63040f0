/** What a process in a container finds of OpenTelemetry (upstream: executor/oci/spec.go): where to send spans, and below which. */
import type { RuntimeMount } from './exec-mounts.ts';

const SOCKET = '/dev/otel-grpc.sock';

const EXPORTER: readonly (readonly [string, string])[] = [
  ['OTEL_TRACES_EXPORTER', 'otlp'],
  ['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT', `unix://${SOCKET}`],
  ['OTEL_EXPORTER_OTLP_TRACES_PROTOCOL', 'grpc'],
];

/** A build that sets the variables itself has its way. */
export function tracingEnvironment(env: readonly string[], traceParent: string | undefined): string[] {
  const set = new Set(env.map((entry) => entry.split('=', 1)[0]));
  const added = EXPORTER.filter(([name]) => !set.has(name)).map(([name, value]) => `${name}=${value}`);
  return [...env, ...added, ...(traceParent === undefined ? [] : [`TRACEPARENT=${traceParent}`])];
}

export function tracingMount(socket: string): RuntimeMount {
  return { type: 'bind', source: socket, destination: SOCKET, options: ['ro', 'rbind'] };
}
