import { BuildError, Code, invalidArgument } from '../../base/index.ts';
import { toByteString } from '../../archive/index.ts';
import { nameFault } from '../../archive/windows/index.ts';
import type { PathRules } from '../types.ts';
import { cleanPath } from './resolve.ts';

/** Upstream gives these texts no code of their own. */
const refused = (message: string): BuildError => new BuildError(Code.Unknown, message);

const toSlash = (path: string): string => path.replaceAll('\\', '/');

function cleaned(path: string, keepSlash: boolean): string {
  const clean = cleanPath(path);
  return keepSlash && clean.length > 1 && path.endsWith('/') ? `${clean}/` : clean;
}

/** Images are on drive C, and their paths are kept without it. */
export const windowsPaths: PathRules = {
  toSlash,

  fromSlash: (path) => path.replaceAll('/', '\\'),

  withoutDrive(path, keepSlash) {
    const slashed = toSlash(path);
    // oxlint-disable-next-line no-control-regex
    if (/^[\0-\x7f]:$/.test(path)) throw refused(`No relative path specified in ${JSON.stringify(path)}`);
    if (slashed.startsWith('//')) throw refused('UNC paths are not supported');
    const colon = slashed.indexOf(':');
    if (colon < 0) return cleaned(slashed, keepSlash);
    if (slashed.slice(0, colon).toLowerCase() !== 'c') {
      throw refused('The specified path is not on the system drive (C:)');
    }
    return cleaned(slashed.slice(colon + 1), keepSlash);
  },

  checkNames(path) {
    for (const name of toSlash(path).split('/')) {
      const fault = name === '' || name === '.' || name === '..' ? undefined : nameFault(toByteString(name));
      if (fault !== undefined) {
        const shown = JSON.stringify(name);
        throw invalidArgument(`invalid path ${JSON.stringify(path)} for windows: ${shown} ${fault}`);
      }
    }
  },
};
