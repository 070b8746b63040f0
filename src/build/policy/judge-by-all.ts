import { canceled } from '../../base/index.ts';
import type { Judge } from '../../gatekeeper/index.ts';
import type { SourcePolicy } from './source-policy.ts';

/** For a step that several builds share: one after the other has a say, each about what the one before has put in place. */
export function judgeByAll(policies: () => readonly SourcePolicy[]): Judge {
  return async ({ method, url: asked }, signal) => {
    const all = policies();
    if (all.length === 0) throw canceled();
    let url = asked;
    for (const policy of all) url = (await policy.judgeRequest({ method, url }, signal)) ?? url;
    return url === asked ? undefined : url;
  };
}
