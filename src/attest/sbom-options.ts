import { BuildError, Code, wrapError } from '../base/index.ts';
import { normalizeReference } from '../oci/index.ts';

export interface SbomOptions {
  /** The scanner's image, its name in full. */
  readonly generator: string;
  readonly parameters: ReadonlyMap<string, string>;
}

/** What a user said of the SBOM that he wants; `who` is what errors call its maker. */
export function parseSbomOptions(
  said: ReadonlyMap<string, string>,
  who: 'sbom generator' | 'sbom scanner',
): SbomOptions {
  const name = said.get('generator') ?? '';
  if (name === '') throw new BuildError(Code.Unknown, `${who} cannot be empty`);
  let generator: string;
  try {
    generator = normalizeReference(name);
  } catch (error) {
    throw wrapError(error, `failed to parse ${who} ${name}`);
  }
  return { generator, parameters: new Map([...said].filter(([key]) => key !== 'generator')) };
}
