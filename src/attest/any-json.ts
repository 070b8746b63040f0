import type { GoJsonValue } from '../oci/index.ts';

/**
 * A value as Go writes it after reading it into maps: the keys of all objects sorted, all numbers floats, bytes a text.
 * Takes what JSON.parse gives too.
 */
export function anyJson(value: unknown): GoJsonValue {
  if (typeof value === 'bigint') return Number(value);
  if (typeof value !== 'object' || value === null) return value as GoJsonValue;
  if (value instanceof Uint8Array) return value;
  if (Array.isArray(value)) return value.map(anyJson);
  const entries: Iterable<readonly [string, unknown]> =
    value instanceof Map ? (value as ReadonlyMap<string, unknown>) : Object.entries(value);
  return new Map([...entries].map(([key, field]) => [key, field === undefined ? undefined : anyJson(field)]));
}
