/** The instructions of a file, sorted into stages. */
import { prefixError, textError, withLocation } from '../located-error.ts';
import type { Node } from '../parse/index.ts';
import { parseInstruction } from './parse-instruction.ts';
import type { Command, CommandOf, Stage } from './types.ts';

export interface Stages {
  readonly stages: readonly Stage[];
  /** Before the first FROM. */
  readonly globalArgs: readonly CommandOf<'arg'>[];
}

/** `seen` hears of every instruction in turn. */
export function parseStages(
  nodes: readonly Node[],
  seen: (node: Node, instruction: Command | Stage) => void = () => {},
): Stages {
  const stages: Array<Stage & { commands: Command[] }> = [];
  const globalArgs: CommandOf<'arg'>[] = [];
  for (const node of nodes) {
    let instruction: Command | Stage;
    try {
      instruction = parseInstruction(node);
      seen(node, instruction);
    } catch (error) {
      throw prefixError(error, `dockerfile parse error on line ${node.location[0].start}`);
    }
    if (instruction.kind === 'from') stages.push({ ...instruction, commands: [] });
    else if (stages.length > 0) stages[stages.length - 1].commands.push(instruction);
    else if (instruction.kind === 'arg') globalArgs.push(instruction);
    else throw withLocation(textError('no build stage in current context'), node.location);
  }
  return { stages, globalArgs };
}
