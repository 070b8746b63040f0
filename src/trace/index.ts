/**
 * OpenTelemetry: spans come in from builds, clients and steps, and go to the collector that the environment names and into
 * the record of the build whose trace they belong to. Deliberately absent: metrics, sampling, what a build's spans are.
 */
export { TraceCollector } from './collector.ts';
export type { ReceivedSpan, Recording } from './collector.ts';
export { createOtlpExporter } from './otlp-exporter.ts';
export type { SpanExporter } from './otlp-exporter.ts';
export { otlpSettings } from './otlp-settings.ts';
export type { OtlpSettings } from './otlp-settings.ts';
export { resourceOf } from './resource.ts';
export { makeSpan, SpanKind } from './span.ts';
export type { SpanFacts } from './span.ts';
export { formatTraceParent, parseTraceParent, stepSpanId, TRACE_VALUE } from './trace-context.ts';
export type { TraceContext } from './trace-context.ts';
