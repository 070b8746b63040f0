/**
 * A generated message in protobuf's JSON, as peers read it in details of errors: for messages without timestamps, wrappers and
 * the like. The generated code for it would be most of what a program loads.
 */
export function protoJson(message: object): Record<string, unknown> {
  const json: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(message)) {
    if (name === '_unknownFields') continue;
    if (isChoice(value)) json[value.$case] = valueJson(value.value);
    else if (!isDefault(value)) json[name] = valueJson(value);
  }
  return json;
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

/** Enums stay numbers, which every reader takes. */
function valueJson(value: unknown): unknown {
  if (typeof value === 'bigint') return String(value);
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  if (Array.isArray(value)) return value.map(valueJson);
  if (value instanceof Map) {
    return Object.fromEntries([...value].map(([key, v]) => [String(key as string | number | bigint), valueJson(v)]));
  }
  return typeof value === 'object' && value !== null ? protoJson(value) : value;
}
