import { VERSION } from '../base/index.ts';
import type { KeyValue, Resource } from '../proto/otlp.pb.ts';

/**
 * Who made the spans: OTEL_SERVICE_NAME or `service`, the pairs of OTEL_RESOURCE_ATTRIBUTES, and what OpenTelemetry asks
 * of whoever makes spans.
 */
export function resourceOf(service: string, env: Readonly<Record<string, string | undefined>>): Resource {
  const attributes = new Map([['service.name', service]]);
  for (const [key, value] of pairsOf(env.OTEL_RESOURCE_ATTRIBUTES)) attributes.set(key, value);
  if (env.OTEL_SERVICE_NAME) attributes.set('service.name', env.OTEL_SERVICE_NAME);
  attributes.set('telemetry.sdk.language', 'nodejs');
  attributes.set('telemetry.sdk.name', VERSION.package);
  attributes.set('telemetry.sdk.version', VERSION.version);
  return { attributes: [...attributes].map(([key, value]): KeyValue => ({ key, value: text(value) })) };
}

function text(value: string): KeyValue['value'] {
  return { value: { $case: 'stringValue', value } };
}

/** `a=b,c=d`, percent-encoded; what is no pair is left out, as OpenTelemetry wants it. */
export function pairsOf(list: string | undefined): (readonly [string, string])[] {
  return (list ?? '').split(',').flatMap((pair) => {
    const at = pair.indexOf('=');
    if (at < 1) return [];
    try {
      return [[pair.slice(0, at).trim(), decodeURIComponent(pair.slice(at + 1).trim())] as const];
    } catch {
      return [];
    }
  });
}
