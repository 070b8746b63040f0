/**
 * Source policies: in come a source and who has a say in it, out goes the source as it may be used, or an error. Deliberately
 * absent: what sources are (sources/) and where the questions are raised (bridge.ts, load.ts).
 */
export { judgeByAll } from './judge-by-all.ts';
export { SourcePolicy } from './source-policy.ts';
export { validatePolicy } from './rules.ts';
export type { Verdicts } from './verdict.ts';
