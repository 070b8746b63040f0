/** W3C's trace context: which trace, and which span of it is the parent. */
import { createHash } from 'node:crypto';

/** The job value that holds the id of a build's trace. */
export const TRACE_VALUE = 'build.trace';

/** Ids in hexadecimal, of 16 and 8 bytes. */
export interface TraceContext {
  readonly traceId: string;
  readonly spanId: string;
}

/** The value of the header `traceparent`; undefined when it is none. */
export function parseTraceParent(text: string | undefined): TraceContext | undefined {
  const match = /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}/.exec(text ?? '');
  if (match === null || /^0+$/.test(match[1]) || /^0+$/.test(match[2])) return undefined;
  return { traceId: match[1], spanId: match[2] };
}

/** A span that is recorded. */
export function formatTraceParent({ traceId, spanId }: TraceContext): string {
  return `00-${traceId}-${spanId}-01`;
}

/** The span of a step is known before it runs, so that what runs in it can have it as parent. `run` counts from 0. */
export function stepSpanId(traceId: string, vertex: string, run = 0): string {
  return createHash('sha256')
    .update(`${traceId} ${vertex}${run === 0 ? '' : ` ${run}`}`)
    .digest('hex')
    .slice(0, 16);
}
