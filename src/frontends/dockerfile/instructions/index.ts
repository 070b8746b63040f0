/** Parsed lines in, typed instructions and stages out. Deliberately absent: variables, and what a step does. */
export { parseInstruction } from './parse-instruction.ts';
export { parseStages } from './parse-stages.ts';
export type { Stages } from './parse-stages.ts';
export { mountFrom, parseMount } from './mount.ts';
export type { Expander } from './mount.ts';
export type * from './types.ts';
