/** The daemon's part in OpenTelemetry: the collector that its environment names, and the socket for what runs in steps. */
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { logger } from '../base/index.ts';
import { addTraceService } from '../control/index.ts';
import { createServer } from '../rpc/index.ts';
import { createOtlpExporter, otlpSettings, TraceCollector } from '../trace/index.ts';
import type { DaemonConfig } from './config.ts';
import { openListener } from './listeners.ts';

export interface Tracing {
  readonly collector: TraceCollector;
  /** Undefined where its path is too long for a socket. */
  readonly socket: string | undefined;
  close(): Promise<void>;
}

/** Of unix(7), without the byte that ends it. */
const MAX_SOCKET_PATH = 107;

/** Throws Unknown for an environment that names an exporter which there is not. */
export async function openTracing(
  config: Pick<DaemonConfig, 'root' | 'otelSocketPath'>,
  env: Readonly<Record<string, string | undefined>>,
): Promise<Tracing> {
  const settings = otlpSettings(env);
  const exporter = settings === undefined ? undefined : createOtlpExporter(settings);
  const collector = new TraceCollector(exporter);
  // Upstream's place is one for all daemons of a machine, where the last to start takes it from the others.
  const path = config.otelSocketPath === '' ? join(config.root, 'otel-grpc.sock') : config.otelSocketPath;
  if (Buffer.byteLength(path) > MAX_SOCKET_PATH) {
    logger.warn('steps have no trace socket: its path is too long', { path });
    return { collector, socket: undefined, close: async () => exporter?.close() };
  }
  const server = createServer();
  addTraceService(server, collector);
  // Users of steps are not the daemon's.
  const options = {
    uid: undefined,
    gid: undefined,
    mode: 0o666,
    tls: undefined,
    serve: (socket: Socket) => server.serve(socket),
  };
  const listener = await openListener(`unix://${path}`, options);
  return {
    collector,
    socket: path,
    async close() {
      await listener.close();
      await exporter?.close();
    },
  };
}
