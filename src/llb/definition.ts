import { BuildError, Code } from '../base/index.ts';
import { Definition, Op } from '../proto/ops.pb.ts';
import { sortDefinition } from './encode-op.ts';

/** The bytes that `buildctl build` reads. */
export function encodeDefinition(definition: Definition): Uint8Array {
  return Definition.encode(sortDefinition(definition)).finish();
}

/** Throws InvalidArgument. */
export function decodeDefinition(bytes: Uint8Array): Definition {
  try {
    return Definition.decode(bytes);
  } catch (error) {
    throw new BuildError(Code.InvalidArgument, `failed to parse definition: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

/** The digest of the op whose result the definition stands for; undefined for scratch. */
export function headDigest(definition: Definition): string | undefined {
  const last = definition.def.at(-1);
  return last === undefined ? undefined : Op.decode(last).inputs[0]?.digest;
}
