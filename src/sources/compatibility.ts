/** Builds may ask for what older daemons made of the same definition. */
import { invalidArgument } from '../base/index.ts';
import type { JobContext } from '../solver/types.ts';

/** The job value that holds the version of a build, a number. */
export const COMPATIBILITY_VALUE = 'build.compatibility';
export const CURRENT_COMPATIBILITY = 30;

/** Throws when builds of different versions share the step. */
export function compatibilityOf(context: JobContext): number {
  const [first = CURRENT_COMPATIBILITY, ...others] = context.values(COMPATIBILITY_VALUE) as number[];
  const other = others.find((version) => version !== first);
  if (other === undefined) return first;
  throw invalidArgument(`conflicting compatibility versions in shared solve state: ${first} != ${other}`);
}
