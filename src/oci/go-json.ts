/**
 * JSON as Go's encoding/json writes it, for texts whose digests must agree with upstream's: no white space, HTML-safe
 * escapes, objects in the order of their keys here (Go: of the struct's fields), Maps sorted by their keys' bytes, bytes in base64.
 */
export type GoJsonValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | readonly GoJsonValue[]
  | ReadonlyMap<string, GoJsonValue | undefined>
  | { readonly [key: string]: GoJsonValue | undefined };

const SHORT: Readonly<Record<string, string>> = {
  '"': '\\"',
  '\\': '\\\\',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
};

// Control characters, what HTML and JavaScript would trip over, and halves of surrogate pairs (Go: U+FFFD).
// oxlint-disable-next-line no-control-regex
const UNSAFE =
  /["\\\u0000-\u001f<>&\u2028\u2029]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

function quote(text: string): string {
  const escaped = text.replace(UNSAFE, (c) => {
    const code = c.charCodeAt(0);
    if (code >= 0xd800 && code <= 0xdfff) return '\\ufffd';
    return SHORT[c] ?? `\\u${code.toString(16).padStart(4, '0')}`;
  });
  return `"${escaped}"`;
}

function number(value: number): string {
  if (!Number.isFinite(value)) throw new TypeError(`json: unsupported value: ${value}`);
  return Object.is(value, -0) ? '-0' : String(value);
}

function object(entries: Iterable<readonly [string, GoJsonValue | undefined]>): string {
  const parts: string[] = [];
  for (const [key, value] of entries) if (value !== undefined) parts.push(`${quote(key)}:${goJson(value)}`);
  return `{${parts.join(',')}}`;
}

/** Fields that are undefined are left out (Go: omitempty, decided by the caller). */
export function goJson(value: GoJsonValue): string {
  if (value === null) return 'null';
  switch (typeof value) {
    case 'string':
      return quote(value);
    case 'number':
      return number(value);
    case 'bigint':
    case 'boolean':
      return String(value);
    default:
  }
  if (value instanceof Uint8Array)
    return `"${Buffer.from(value.buffer, value.byteOffset, value.length).toString('base64')}"`;
  if (Array.isArray(value)) return `[${(value as readonly GoJsonValue[]).map((v) => goJson(v)).join(',')}]`;
  if (value instanceof Map) {
    const entries = [...(value as ReadonlyMap<string, GoJsonValue | undefined>)];
    return object(entries.sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b))));
  }
  return object(Object.entries(value as { readonly [key: string]: GoJsonValue | undefined }));
}

export function goJsonBytes(value: GoJsonValue): Uint8Array {
  return Buffer.from(goJson(value), 'utf8');
}
