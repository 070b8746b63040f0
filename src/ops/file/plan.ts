import { BuildError, Code, invalidArgument } from '../../base/index.ts';
import type { ChownOpt, FileAction } from '../../proto/ops.pb.ts';
import type { UserRules } from '../../systems/index.ts';

/** An input of the op (`index` below the number of inputs) or the result of an earlier action; undefined is scratch. */
export type Place =
  | { readonly kind: 'input'; readonly index: number }
  | { readonly kind: 'action'; readonly index: number };

export interface PlannedAction {
  readonly index: number;
  readonly action: NonNullable<FileAction['action']>;
  readonly input: Place | undefined;
  readonly secondary: Place | undefined;
  readonly user: Place | undefined;
  readonly group: Place | undefined;
  /** An output, or used more than once: others build on it, so it must not change any more. */
  readonly isShared: boolean;
}

export interface Plan {
  readonly actions: readonly PlannedAction[];
  /** For each output the action that makes it. */
  readonly outputs: readonly number[];
}

const NONE = -1n;

function ownerOf(action: FileAction): ChownOpt | undefined {
  const kind = action.action;
  return kind === undefined || kind.$case === 'rm' ? undefined : kind.value.owner;
}

/**
 * Checks the numbers of an op's actions. Throws InvalidArgument for what is out of range, missing, double or circular. `users`
 * are those of the system that the files are for: names that it knows of itself are looked up nowhere.
 */
export function planActions(actions: readonly FileAction[], inputCount: number, users: UserRules): Plan {
  const total = inputCount + actions.length;
  const place = (index: bigint, what: string): Place | undefined => {
    if (index === NONE) return undefined;
    if (index < NONE || index >= BigInt(total))
      throw invalidArgument(`invalid ${what} index ${index}, ${total} provided`);
    const at = Number(index);
    return at < inputCount ? { kind: 'input', index: at } : { kind: 'action', index: at - inputCount };
  };
  const userPlace = (option: ChownOpt['user']): Place | undefined => {
    if (option?.user?.$case !== 'byName' || users.find(option.user.value.name) !== undefined) return undefined;
    const { input } = option.user.value;
    // Upstream's frontends come here with a name and no image to look it up in.
    if (input < 0n) throw new BuildError(Code.Unknown, `invalid user index: ${input}`);
    return place(input, 'user');
  };
  const outputs = new Map<number, number>();
  const uses = new Map<number, number>();
  const planned = actions.map((action, index) => {
    if (action.action === undefined) throw invalidArgument('invalid action type <nil>');
    if (action.output !== NONE) {
      const output = Number(action.output);
      if (outputs.has(output)) throw invalidArgument(`duplicate output ${output}`);
      outputs.set(output, index);
    }
    const owner = ownerOf(action);
    const places = {
      input: place(action.input, 'input'),
      secondary: place(action.secondaryInput, 'secondary input'),
      user: userPlace(owner?.user),
      group: userPlace(owner?.group),
    };
    for (const used of Object.values(places)) {
      if (used?.kind === 'action') uses.set(used.index, (uses.get(used.index) ?? 0) + 1);
    }
    return { index, action: action.action, ...places };
  });
  if (outputs.size === 0) throw invalidArgument('no outputs specified');
  const order = Array.from({ length: outputs.size }, (_, output) => {
    const index = outputs.get(output);
    if (index === undefined) throw invalidArgument(`missing output index ${output}`);
    return index;
  });
  const made = new Set(order);
  const result = planned.map((p) => ({ ...p, isShared: made.has(p.index) || (uses.get(p.index) ?? 0) > 1 }));
  refuseLoops(result, inputCount);
  return { actions: result, outputs: order };
}

function refuseLoops(actions: readonly PlannedAction[], inputCount: number): void {
  const state = new Map<number, 'open' | 'done'>();
  const visit = (index: number): void => {
    if (state.get(index) === 'done') return;
    if (state.get(index) === 'open') throw invalidArgument(`loop from index ${inputCount + index}`);
    state.set(index, 'open');
    const { input, secondary, user, group } = actions[index] as PlannedAction;
    for (const place of [input, secondary, user, group]) if (place?.kind === 'action') visit(place.index);
    state.set(index, 'done');
  };
  for (const action of actions) visit(action.index);
}
