/** HTTP/2 headers to gRPC metadata and back, and the grpc-timeout header. */
import { invalidArgument } from '../base/index.ts';
import type { Fields } from './http2/index.ts';
import type { Metadata } from './types.ts';

/** Names that the protocol itself uses; everything else is the caller's. */
const RESERVED = new Set(['content-type', 'te', 'user-agent', 'connection', 'host', 'content-length']);

function isCustom(name: string): boolean {
  return !name.startsWith(':') && !name.startsWith('grpc-') && !RESERVED.has(name);
}

export function decodeMetadata(fields: Fields): Metadata {
  const out = new Map<string, string[]>();
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i];
    if (!isCustom(name)) continue;
    const known = out.get(name);
    if (known === undefined) out.set(name, [fields[i + 1]]);
    else known.push(fields[i + 1]);
  }
  return out;
}

/** Adds `metadata` to `fields`. Throws InvalidArgument for what HTTP/2 cannot carry. */
export function encodeMetadata(metadata: Iterable<readonly [string, string]>, fields: string[]): void {
  for (const [key, value] of metadata) {
    const name = key.toLowerCase();
    if (!/^[0-9a-z_.-]+$/.test(name) || !isCustom(name)) throw invalidArgument(`invalid metadata key ${name}`);
    // eslint-disable-next-line no-control-regex
    if (!/^[\x20-\x7e]*$/.test(value))
      // gRPC's own words in Go.
      throw invalidArgument(`header key "${name}" contains value with non-printable ASCII characters`);
    fields.push(name, value);
  }
}

const UNIT_MS: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 };
const MAX_TIMER_MS = 0x7fffffff;

/** Undefined when there is none or it is malformed. */
export function parseTimeout(text: string | undefined): number | undefined {
  const m = /^(\d{1,8})([HMSmun])$/.exec(text ?? '');
  return m === null ? undefined : Math.min(Number(m[1]) * UNIT_MS[m[2]], MAX_TIMER_MS);
}

/** At most eight digits are allowed, so long times lose their milliseconds. */
export function formatTimeout(timeoutMs: number): string {
  const ms = Math.max(0, Math.ceil(timeoutMs));
  return ms < 1e8 ? `${ms}m` : `${Math.min(Math.ceil(ms / 1000), 99_999_999)}S`;
}

/** Node's timers cannot run longer than 2^31 ms. */
export function timerMs(timeoutMs: number): number {
  return Math.min(Math.max(0, timeoutMs), MAX_TIMER_MS);
}
