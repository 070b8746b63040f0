import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { randomId } from '../../base/index.ts';

/** Whole or not at all, also for a reader at the same time. */
export function writeWhole(path: string, text: string): void {
  const temporary = join(dirname(path), `.tmp-${randomId()}`);
  try {
    writeFileSync(temporary, text, { mode: 0o666 });
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

function jsonObject(base64: string): unknown {
  if (base64 === '' || base64.length % 4 !== 0 || !/^[A-Za-z0-9+/]+={0,2}$/.test(base64)) return undefined;
  try {
    const value: unknown = JSON.parse(Buffer.from(base64, 'base64').toString('utf8'));
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
    return Object.keys(value).length === 0 ? undefined : value;
  } catch {
    return undefined;
  }
}

/** The exporters' answers as indented JSON, keys in order; base64 of a JSON object becomes that object. */
export function metadataJson(response: ReadonlyMap<string, string>): string {
  const keys = [...response.keys()].toSorted((a, b) => (a < b ? -1 : 1));
  const fields = keys.map((key) => {
    const value = response.get(key) as string;
    const nested = jsonObject(value);
    const json =
      nested === undefined ? JSON.stringify(value) : JSON.stringify(nested, null, 2).replaceAll('\n', '\n  ');
    return `  ${JSON.stringify(key)}: ${json}`;
  });
  const text = fields.length === 0 ? '{}' : `{\n${fields.join(',\n')}\n}`;
  // As Go's encoder writes them.
  return text.replace(/[<>&\u2028\u2029]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
