import { State } from '../../llb/index.ts';
import { textError } from './located-error.ts';

/**
 * A state that is made when a definition is written: which paths a local source sends is known only when all steps that
 * use it have been lowered.
 */
export function deferredState(make: () => State): State {
  let made: State | undefined;
  const output = (): NonNullable<State['output']> => {
    made ??= make();
    if (made.output === undefined) throw textError('build context is empty');
    return made.output;
  };
  return State.fromOutput({
    get vertex() {
      return output().vertex;
    },
    index: () => output().index(),
  });
}
