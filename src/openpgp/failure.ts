/** Why a signature does not hold, in the words of the library that upstream uses (ProtonMail/go-crypto). */
import { invalidArgument } from '../base/index.ts';
import type { BuildError } from '../base/index.ts';

export function structural(text: string): BuildError {
  return invalidArgument(`openpgp: invalid data: ${text}`);
}

export function unsupported(text: string): BuildError {
  return invalidArgument(`openpgp: unsupported feature: ${text}`);
}
