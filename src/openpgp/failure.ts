/** Why a signature does not hold, in the words of the library that upstream uses (ProtonMail/go-crypto), and without a code as there. */
import { BuildError, Code } from '../base/index.ts';

export function refused(text: string): BuildError {
  return new BuildError(Code.Unknown, text);
}

export function structural(text: string): BuildError {
  return refused(`openpgp: invalid data: ${text}`);
}

export function unsupported(text: string): BuildError {
  return refused(`openpgp: unsupported feature: ${text}`);
}
