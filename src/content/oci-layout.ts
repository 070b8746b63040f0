import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { invalidArgument, notFound, randomId } from '../base/index.ts';
import type { Index } from '../oci/types.ts';

/** image-spec, image-layout.md: the only version that there is. */
export const OCI_LAYOUT_VERSION = '1.0.0';

const LIMIT = 8 * 1024 * 1024;

/** `index.json` of the layout in `directory`. NotFound without one, InvalidArgument when it is not an index. */
export function readLayoutIndex(directory: string): Index {
  const path = join(directory, 'index.json');
  if (!existsSync(path)) throw notFound(`${path}: not found`);
  const bytes = readFileSync(path);
  if (bytes.length > LIMIT) throw invalidArgument(`${path} has ${bytes.length} bytes, more than ${LIMIT}`);
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    throw invalidArgument(`${path} is not JSON`, { cause });
  }
  const manifests = (value as Index | null)?.manifests;
  if (!Array.isArray(manifests)) throw invalidArgument(`${path} has no manifests`);
  return value as Index;
}

/** Writes `index.json` (the caller's exact text) and `oci-layout`, each at once and whole. */
export function writeLayoutIndex(directory: string, indexJson: string): void {
  mkdirSync(directory, { recursive: true });
  const put = (name: string, text: string): void => {
    const temporary = join(directory, `.${name}-${randomId()}`);
    writeFileSync(temporary, text, { flush: true });
    renameSync(temporary, join(directory, name));
  };
  put('oci-layout', `{"imageLayoutVersion":"${OCI_LAYOUT_VERSION}"}`);
  put('index.json', indexJson);
}
