import { CacheSharingOpt, MountContentCache, MountType, NetMode, SecurityMode } from '../proto/ops.pb.ts';

/** The fields of LLB's messages whose numbers have names. */
const ENUMS: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  network: NetMode,
  security: SecurityMode,
  mountType: MountType,
  contentCache: MountContentCache,
  sharing: CacheSharingOpt,
};

/**
 * A message of LLB in protobuf's JSON, as peers read it in details of errors and in answers of frontends: without timestamps,
 * wrappers and the like. The generated code for it would be most of what a program loads.
 */
export function protoJson(message: object): Record<string, unknown> {
  const json: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(message)) {
    if (name === '_unknownFields') continue;
    if (isChoice(value)) json[value.$case] = valueJson(value.value);
    else if (!isDefault(value)) json[name] = typeof value === 'number' ? enumJson(name, value) : valueJson(value);
  }
  return json;
}

/** Numbers without a name stay numbers. */
function enumJson(field: string, value: number): string | number {
  const names = Object.hasOwn(ENUMS, field) ? Object.entries(ENUMS[field]) : [];
  return names.find(([, number]) => number === value && number >= 0)?.[0] ?? value;
}

/** A oneof: the field of that name is set, even where its value says nothing. */
function isChoice(value: unknown): value is { readonly $case: string; readonly value: unknown } {
  return typeof value === 'object' && value !== null && '$case' in value;
}

function isDefault(value: unknown): boolean {
  if (value instanceof Uint8Array || Array.isArray(value)) return value.length === 0;
  if (value instanceof Map) return value.size === 0;
  return value === undefined || value === '' || value === 0 || value === 0n || value === false;
}

function valueJson(value: unknown): unknown {
  if (typeof value === 'bigint') return String(value);
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  if (Array.isArray(value)) return value.map(valueJson);
  if (value instanceof Map) {
    const entries = [...value].map(([key, v]): [string, unknown] => [
      String(key as string | number | bigint),
      valueJson(v),
    ]);
    return Object.fromEntries(entries.toSorted(([a], [b]) => (a < b ? -1 : 1)));
  }
  return typeof value === 'object' && value !== null ? protoJson(value) : value;
}
