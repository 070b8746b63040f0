import { BuildError, Code, parseGoBool } from '../../base/index.ts';
import { parseSlsaVersion } from './predicate.ts';
import type { SlsaVersion } from './predicate.ts';

export interface ProvenanceOptions {
  readonly version: SlsaVersion;
  readonly mode: 'min' | 'max';
  readonly builderId: string;
  readonly reproducible: boolean;
  /** Only for images that are pushed or stored, not for files. */
  readonly inlineOnly: boolean;
  readonly filename: string;
  /** What the build and its steps used of the machine, too. */
  readonly captureUsage: boolean;
  /** Fails the build where a material is not known. */
  readonly completeMaterials: boolean;
}

const MODES: ReadonlyMap<string, 'min' | 'max'> = new Map([
  ['min', 'min'],
  ['max', 'max'],
  ['full', 'max'],
]);

const fail = (text: string): BuildError => new BuildError(Code.Unknown, text);

function flag(said: ReadonlyMap<string, string>, key: string): boolean {
  const text = said.get(key);
  if (text === undefined) return false;
  const value = parseGoBool(text);
  if (value !== undefined) return value;
  const quoted = JSON.stringify(text);
  throw fail(`failed to parse ${key} flag ${quoted}: strconv.ParseBool: parsing ${quoted}: invalid syntax`);
}

/** What a user said of the provenance that he wants. Throws with upstream's texts. */
export function parseProvenanceOptions(said: ReadonlyMap<string, string>): ProvenanceOptions {
  const asked = said.get('mode') ?? 'max';
  const mode = MODES.get(asked);
  const version = parseSlsaVersion(said.get('version') ?? 'v1');
  if (mode === undefined) throw fail(`invalid mode ${JSON.stringify(asked)}`);
  return {
    version,
    mode,
    builderId: said.get('builder-id') ?? '',
    reproducible: flag(said, 'reproducible'),
    inlineOnly: parseGoBool(said.get('inline-only') ?? '') ?? false,
    filename: said.get('filename') ?? 'provenance.json',
    captureUsage: parseGoBool(said.get('capture-usage') ?? '') ?? false,
    completeMaterials: flag(said, 'complete-materials'),
  };
}
