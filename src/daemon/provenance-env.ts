import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { invalidArgument, wrapError } from '../base/index.ts';

/** Fields that provenance has already. */
const BUILTIN = ['buildConfig', 'builderPlatform', 'platform'];

function readFields(path: string, name: string): [string, unknown][] {
  try {
    const json = JSON.parse(readFileSync(path, 'utf8')) as unknown;
    if (json === null) return [];
    if (typeof json !== 'object' || Array.isArray(json)) throw invalidArgument('not an object');
    return Object.entries(json);
  } catch (error) {
    throw wrapError(error, `failed to parse ${name}`);
  }
}

/** The fields of all `*.json` in that folder; later files win. A folder that is not there has none. */
export function loadProvenanceEnv(dir: string): ReadonlyMap<string, unknown> {
  let names: string[];
  try {
    const entries = readdirSync(dir, { withFileTypes: true });
    names = entries.filter((e) => !e.isDirectory() && e.name.endsWith('.json')).map((e) => e.name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return new Map();
    throw error;
  }
  const fields = new Map(names.toSorted().flatMap((name) => readFields(join(dir, name), name)));
  for (const key of BUILTIN) {
    if (fields.has(key)) {
      throw invalidArgument(
        `key ${JSON.stringify(key)} is builtin and not allowed to be modified in provenance config`,
      );
    }
  }
  return fields;
}
