import { BuildError, Code, wrapError } from '../base/index.ts';
import type { ImmutableRef } from '../storage/types.ts';

/**
 * What a step says of a path whose digest cannot be had. That the path is not there is Unknown, not NotFound, as upstream's
 * is: clients put the name of a code before the text.
 */
export function checksumError(error: unknown, ref: ImmutableRef | undefined): BuildError {
  const wrapped = wrapError(error, `failed to calculate checksum of ref ${ref?.id ?? ''}`);
  if (wrapped.code !== Code.NotFound) return wrapped;
  return new BuildError(Code.Unknown, wrapped.message, { cause: error, details: wrapped.details });
}
