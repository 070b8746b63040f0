import { parseGoBool } from '../../../base/index.ts';
import type { State } from '../../../llb/index.ts';
import type { Lowering } from './lowering.ts';
import type { StageState } from './stage-state.ts';

/** What a scan for an SBOM shall look at. */
export interface ScanTargets {
  readonly core: State;
  /** The build context and stages that ask for it, by their names. */
  readonly extras: ReadonlyMap<string, State>;
  readonly ignoreCache: boolean;
}

/** A boolean, or a list of stages. */
function isEnabled(stage: StageState, name: string, { globalArgs }: Lowering): boolean {
  let enabled = false;
  const values = [globalArgs.get(name), ...stage.buildArgs.filter((a) => a.key === name).map((a) => a.value)];
  for (const value of values) {
    if (value !== undefined) enabled = parseGoBool(value) ?? value.split(',').includes(stage.name);
  }
  return enabled;
}

export function scanTargets(target: StageState, reachable: ReadonlySet<StageState>, lowering: Lowering): ScanTargets {
  const extras = new Map<string, State>();
  let { ignoreCache } = target;
  if (isEnabled(target, 'BUILDKIT_SBOM_SCAN_CONTEXT', lowering)) extras.set('context', lowering.context);
  for (const stage of reachable) {
    if (stage === target || !stage.dispatched || !isEnabled(stage, 'BUILDKIT_SBOM_SCAN_STAGE', lowering)) continue;
    extras.set(stage.name, stage.state);
    ignoreCache ||= stage.ignoreCache;
  }
  return { core: target.state, extras, ignoreCache };
}
