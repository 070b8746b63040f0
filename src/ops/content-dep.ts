import { BuildError, Code, wrapError } from '../base/index.ts';
import type { CacheMapDep, JobContext, Result } from '../solver/types.ts';
import type { ContentHasher, ContentSelector } from '../storage/types.ts';
import { sha256 } from './op-digest.ts';
import { refOf } from './ref-result.ts';

/**
 * The key of what a step reads of one input, and how that differs from what it read before. `step` names the step alike in
 * every build.
 */
export function contentDep(
  hasher: ContentHasher,
  selectors: readonly ContentSelector[],
  step: string,
): Pick<CacheMapDep, 'computeDigest' | 'explain'> {
  return {
    async computeDigest(result: Result, context: JobContext) {
      const ref = refOf(result);
      const digests: string[] = [];
      for (const { path, ...selector } of selectors) {
        try {
          digests.push(await hasher.checksum(ref, path, selector, context));
        } catch (error) {
          throw checksumError(error, result.id);
        }
      }
      return sha256(digests.join('\0'));
    },
    async explain(result: Result, context: JobContext) {
      const ref = refOf(result);
      return ref === undefined ? undefined : await hasher.compare(ref, selectors, step, context);
    },
  };
}

/**
 * What a step says of a path whose digest cannot be had. That the path is not there is Unknown, not NotFound, as upstream's
 * is: clients put the name of a code before the text.
 */
function checksumError(error: unknown, resultId: string): BuildError {
  const wrapped = wrapError(error, `failed to calculate checksum of ref ${resultId}`);
  if (wrapped.code !== Code.NotFound) return wrapped;
  return new BuildError(Code.Unknown, wrapped.message, { cause: error, details: wrapped.details });
}
