/** Which stages an instruction takes from, and what triggers of a base image add. */
import { quote } from '../go-text.ts';
import { mountFrom, parseInstruction } from '../instructions/index.ts';
import type { Command } from '../instructions/index.ts';
import { textError, withLocation } from '../located-error.ts';
import type { LocatedError } from '../located-error.ts';
import { EMPTY_ENV, expandWord, parseDockerfile } from '../parse/index.ts';
import type { LexOptions } from '../parse/index.ts';
import { implicitStage } from './stage-state.ts';
import type { PlannedCommand, StageList, StageState } from './stage-state.ts';

function copySource(command: Command & { kind: 'copy' }, stages: StageList, lex: LexOptions): StageState[] {
  const { from, location } = command;
  if (from === '') return [];
  if (expandWord(from, EMPTY_ENV, lex).text !== from) {
    throw textError(
      'variable expansion is not supported for --from, define a new stage with FROM using ARG from global scope as a workaround',
    );
  }
  if (/^[+-]?\d+$/.test(from)) return [stages.at(Number(from))];
  return [stages.find(from) ?? implicitStage(from, location)];
}

export function planCommand(command: Command, stages: StageList, lex: LexOptions, onbuild = false): PlannedCommand {
  let sources: StageState[] = [];
  if (command.kind === 'copy') sources = copySource(command, stages, lex);
  else if (command.kind === 'run') {
    sources = command.mounts.map((mount) => {
      // A type may be a variable: whether the source is used is seen later.
      const from = mountFrom(mount) || 'scratch';
      // Upstream knows no lines of these.
      return stages.find(from) ?? implicitStage(from, []);
    });
  }
  return { command, sources, onbuild };
}

/** Makes the stages known that a command brings with it. */
export function addSources(stage: StageState, planned: PlannedCommand, stages: StageList): void {
  for (const source of planned.sources) {
    stage.deps.set(source, planned.command);
    if (source.implicit && !stages.all.includes(source)) stages.add(source);
  }
}

/** Puts the triggers in front of the stage's own instructions. True when they take from other stages. */
export function addTriggers(
  stage: StageState,
  triggers: readonly string[],
  stages: StageList,
  lex: LexOptions,
): boolean {
  const planned = triggers.map((trigger) => {
    const { nodes } = parseDockerfile(trigger);
    if (nodes.length !== 1) throw textError('onbuild trigger should be a single expression');
    const command = parseInstruction({ ...nodes[0], location: stage.stage.location });
    if (command.kind === 'from') throw textError("FROM isn't allowed as an ONBUILD trigger");
    return planCommand(command, stages, lex, true);
  });
  for (const p of planned) addSources(stage, p, stages);
  stage.commands.unshift(...planned);
  stage.stepTotal += planned.length;
  return planned.some((p) => p.sources.length > 0);
}

/** Throws when stages wait for one another; the lines of all of them are on the error. */
export function checkCycles(stages: readonly StageState[]): void {
  const done = new Set<StageState>();
  const path = new Set<StageState>();
  const visit = (stage: StageState, commands: readonly Command[]): readonly Command[] | undefined => {
    if (done.has(stage)) return undefined;
    done.add(stage);
    path.add(stage);
    for (const [dep, command] of stage.deps) {
      const next = [...commands, command];
      if (path.has(dep)) return next;
      const found = visit(dep, next);
      if (found !== undefined) return found;
    }
    path.delete(stage);
    return undefined;
  };
  for (const stage of stages) {
    const commands = visit(stage, []);
    if (commands === undefined) continue;
    let error: Error | LocatedError = textError(`circular dependency detected on stage: ${stage.name}`);
    for (const { location } of commands) error = withLocation(error, location);
    throw error;
  }
}

export function sourceNotReady(from: string, stage: StageState): Error {
  return textError(
    `cannot copy from stage ${quote(from)}, it needs to be defined before current stage ${quote(stage.name)}`,
  );
}
