/** Warnings about a Dockerfile that would build. Deliberately absent: where they are shown. */
export { RULES } from './rules.ts';
export type { Rule } from './rules.ts';
export { DEFAULT_LINT, Linter, parseLintConfig } from './linter.ts';
export type { LintConfig, LintWarning, Warn } from './linter.ts';
export {
  checkBaseImages,
  checkCommandCasing,
  checkInstruction,
  checkSecretKey,
  checkStageNames,
  reportUndefined,
} from './checks.ts';
