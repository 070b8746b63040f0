/** What buildctl itself tells OpenTelemetry, where the environment asks for it: a span of the command, above the daemon's. */
import { randomBytes } from 'node:crypto';
import { nowNs } from '../base/index.ts';
import type { Client } from '../client/index.ts';
import type { ResourceSpans } from '../proto/otlp.pb.ts';

export interface CommandTrace {
  /** The span's `traceparent`, for calls. */
  readonly traceParent: string;
  /** Tells the collector that the environment names, and the daemon, which passes it on to its own. Never throws. */
  end(error: Error | undefined, client: Client | undefined): Promise<void>;
}

type Environment = Readonly<Record<string, string | undefined>>;

const ASKING = [
  'TRACEPARENT',
  'OTEL_TRACES_EXPORTER',
  'OTEL_EXPORTER_OTLP_ENDPOINT',
  'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT',
];
const DAEMON_MS = 2000;

/** Undefined where nobody asks for spans. Throws for an environment that names an exporter which there is not. */
export async function beginCommandTrace(
  name: string,
  argv: readonly string[],
  env: Environment,
): Promise<CommandTrace | undefined> {
  if (!ASKING.some((key) => (env[key] ?? '') !== '')) return undefined;
  const { createOtlpExporter, formatTraceParent, makeSpan, otlpSettings, parseTraceParent, resourceOf, SpanKind } =
    await import('../trace/index.ts');
  const { ResourceSpans: message } = await import('../proto/otlp.pb.ts');
  const settings = otlpSettings(env);
  const parent = parseTraceParent(env.TRACEPARENT);
  const traceId = parent?.traceId ?? randomBytes(16).toString('hex');
  const spanId = randomBytes(8).toString('hex');
  const start = nowNs();
  const spansOf = (error: Error | undefined): ResourceSpans => {
    const span = makeSpan({
      name,
      traceId,
      id: spanId,
      parent: parent?.spanId ?? '',
      kind: SpanKind.internal,
      start,
      end: nowNs(),
      attributes: { command: argv },
      error: error?.message,
    });
    const scopeSpans = [{ scope: undefined, spans: [span], schemaUrl: '' }];
    return { resource: resourceOf('buildctl', env), scopeSpans, schemaUrl: '' };
  };
  return {
    traceParent: formatTraceParent({ traceId, spanId }),
    async end(error, client) {
      const bytes = message.encode(spansOf(error)).finish();
      const exporter = settings === undefined ? undefined : createOtlpExporter(settings);
      exporter?.export([bytes]);
      const told = client?.exportSpans([bytes], { timeoutMs: DAEMON_MS });
      await Promise.allSettled([told, exporter?.close()]);
    },
  };
}
