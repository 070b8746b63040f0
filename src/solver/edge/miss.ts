/** Why an edge runs: read off the same state from which the plan to run it follows. */
import type { CacheMiss } from '../types.ts';
import type { DepState, EdgeState } from './edge-state.ts';

/** Of an edge whose plan is to run, so all its inputs are there. At least one. */
export function missesOf(s: EdgeState): CacheMiss[] {
  if (s.ignoreCache) return [{ kind: 'ignored' }];
  if (s.hasLost) return [{ kind: 'lost' }];
  if (s.keys.length > 0) return [{ kind: 'pruned' }];
  if (s.deps.length === 0) return [{ kind: 'operation' }];
  const blind = s.deps.flatMap((dep, input) => (dep.matches.size === 0 ? [missOfInput(dep, input)] : []));
  if (blind.length === 0) return [{ kind: 'combination' }];
  // Where an input changed, the step is not to be blamed for what else is not known with it.
  const changed = blind.filter((miss) => miss.kind !== 'operation');
  return changed.length > 0 ? changed : [{ kind: 'operation' }];
}

function missOfInput({ content, isFresh }: DepState, input: number): CacheMiss {
  if (content.kind === 'known' && content.key !== undefined)
    return content.inCache === true ? { kind: 'operation' } : { kind: 'content', input };
  return isFresh ? { kind: 'input', input } : { kind: 'operation' };
}
