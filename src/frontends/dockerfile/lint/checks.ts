/** Rules that look at the text of a file, before anything is built. */
import { parseReference } from '../../../oci/index.ts';
import type { EnvironmentRules } from '../../../systems/index.ts';
import type { Command, Stage } from '../instructions/index.ts';
import type { LineRange } from '../located-error.ts';
import { expandWord } from '../parse/index.ts';
import type { Env, LexOptions, Node } from '../parse/index.ts';
import { suggest } from '../suggest.ts';
import type { Linter } from './linter.ts';
import { RULES } from './rules.ts';

const isLower = (text: string): boolean => text === text.toLowerCase();
const isUpper = (text: string): boolean => text === text.toUpperCase();

function checkFrom(node: Node, linter: Linter): void {
  if (node.args.length !== 3) return;
  const [, as, name] = node.args;
  if (!isLower(name)) linter.run(RULES.stageNameCasing, node.location, name);
  // A FROM of mixed case is another rule's matter.
  const from = node.command;
  const matches = isLower(from) ? isLower(as) : isUpper(from) ? isUpper(as) : true;
  if (!matches) linter.run(RULES.fromAsCasing, node.location, from, as);
}

function checkDescription(instruction: string, names: readonly string[], node: Node, linter: Linter): void {
  const last = node.comments[node.comments.length - 1];
  if (last === undefined || names.length === 0 || names.includes(last.split(' ')[0])) return;
  const example = names.length > 1 ? '<arg_key>' : names[0];
  linter.run(RULES.invalidDefinitionDescription, node.location, instruction, example);
}

export function checkInstruction(node: Node, instruction: Command | Stage, fileLinter: Linter): void {
  const linter = fileLinter.withComments(node.comments);
  switch (instruction.kind) {
    case 'maintainer':
      linter.run(RULES.maintainerDeprecated, node.location);
      break;
    case 'from':
      checkFrom(node, linter);
      if (instruction.stageName !== '') checkDescription('FROM', [instruction.stageName], node, linter);
      break;
    case 'arg':
      checkDescription(
        'ARG',
        instruction.args.map((a) => a.key),
        node,
        linter,
      );
      break;
    default:
  }
}

export function checkStageNames(stages: readonly Stage[], linter: Linter): void {
  const seen = new Set<string>();
  for (const { stageName, location } of stages) {
    if (stageName === '') continue;
    if (stageName === 'context' || stageName === 'scratch') {
      linter.run(RULES.reservedStageName, location, stageName);
    }
    if (seen.has(stageName)) linter.run(RULES.duplicateStageName, location, stageName);
    seen.add(stageName);
  }
}

export function checkCommandCasing(stages: readonly Stage[], linter: Linter): void {
  const all = stages.flatMap((stage) => [stage, ...stage.commands]);
  const lower = all.filter(({ name }) => isLower(name)).length;
  const upper = all.filter(({ name }) => !isLower(name) && isUpper(name)).length;
  for (const { name, location } of all) {
    if (lower > upper) {
      if (!isLower(name)) linter.run(RULES.consistentInstructionCasing, location, name, 'lowercase');
    } else if (!isUpper(name)) linter.run(RULES.consistentInstructionCasing, location, name, 'uppercase');
  }
}

/** `args` are the global arguments as they are when the build gives none. */
export function checkBaseImages(stages: readonly Stage[], args: Env, lex: LexOptions, linter: Linter): void {
  for (const stage of stages) {
    let base: string;
    try {
      base = expandWord(stage.baseName, args, lex).text;
    } catch {
      return;
    }
    try {
      parseReference(base);
    } catch {
      linter.run(RULES.invalidDefaultArgInFrom, stage.location, stage.baseName);
    }
  }
}

const SECRET = /(?:_|^)(?:apikey|auth|credential|credentials|key|password|pword|passwd|secret|token)(?:_|$)/i;
const NO_SECRET = /(?:_|^)(?:public|file|version)(?:_|$)/i;

export function checkSecretKey(
  instruction: 'ARG' | 'ENV',
  key: string,
  location: readonly LineRange[],
  linter: Linter,
): void {
  if (SECRET.test(key) && !NO_SECRET.test(key)) {
    linter.run(RULES.secretsUsedInArgOrEnv, location, instruction, key);
  }
}

/** Variables of a step that nobody set. `declared` are the names that ARG made known without a value. */
export function reportUndefined(
  unmatched: Iterable<string>,
  known: { readonly declared: ReadonlySet<string>; readonly env: Env; readonly rules: EnvironmentRules },
  location: readonly LineRange[],
  linter: Linter,
): void {
  for (const name of unmatched) {
    if (known.declared.has(name)) continue;
    const hint = suggest(name, known.env.keys(), known.rules.caseSensitive) ?? '';
    linter.run(RULES.undefinedVar, location, name, hint);
  }
}
