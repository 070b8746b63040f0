/** `buildctl debug why REF [STEP]`: for each step of a build why it ran, in one line. */
import { BuildError, Code } from '../base/index.ts';
import type { CommandSpec } from '../base/index.ts';
import type { CacheMiss, Vertex } from '../proto/control.pb.ts';
import type { Action, CommandContext } from './context.ts';
import { needRef } from './history-commands.ts';

/** Shown of one changed content; the rest is counted. */
const MAX_CHANGES = 8;

function changesText({ changes, totalChanges }: CacheMiss): string {
  const total = Number(totalChanges);
  const shown = changes.slice(0, MAX_CHANGES);
  const rest = total > shown.length ? `, and ${total - shown.length} more` : '';
  return `${total === 1 ? '1 file differs' : `${total} files differ`}: ${shown.join(', ')}${rest}`;
}

function missText(miss: CacheMiss, step: Vertex, nameOf: (digest: string) => string): string {
  const input = (): string => nameOf(step.inputs[miss.input] ?? '');
  switch (miss.kind) {
    case 'ignored':
      return 'the cache was not to be used';
    case 'operation':
      return step.inputs.length === 0 ? 'not in the cache' : 'this was not done with its inputs before';
    case 'input':
      return `made from ${input()}, which ran`;
    case 'content':
      return miss.changes.length > 0 ? changesText(miss) : `the content of ${input()} is new`;
    case 'combination':
      return 'its inputs were used before, but not together';
    case 'pruned':
      return 'its result was pruned from the cache';
    case 'lost':
      return 'its cached result could not be loaded';
    default:
      // Of a daemon that is newer.
      return miss.kind;
  }
}

/** One line, without its end. */
export function whyText(step: Vertex, nameOf: (digest: string) => string): string {
  const reason = (): string => {
    if (step.cause?.skipped === true) return 'skipped, nothing needed its result';
    if (step.cached) return 'CACHED';
    const misses = step.cause?.misses ?? [];
    if (misses.length > 0) return misses.map((miss) => missText(miss, step, nameOf)).join('; ');
    if (step.started === undefined) return 'never started';
    return step.completed === undefined ? 'did not end' : 'done, it has no cache of its own';
  };
  const error = step.error === '' ? '' : ` (failed: ${step.error})`;
  return `${step.name}: ${reason()}${error}`;
}

/** By digest (or its beginning), or by a part of the name. */
function isMeant(step: Vertex, wanted: string): boolean {
  return step.digest === wanted || step.digest.startsWith(`sha256:${wanted}`) || step.name.includes(wanted);
}

const why: Action = async (flags, args, context) => {
  const ref = needRef(args);
  const wanted = args[1];
  const client = await context.client(flags);
  const steps = new Map<string, Vertex>();
  for await (const { vertexes } of client.status(ref, context.signal)) for (const v of vertexes) steps.set(v.digest, v);
  const nameOf = (digest: string): string => `"${steps.get(digest)?.name ?? digest}"`;
  const shown = [...steps.values()].filter((v) => wanted === undefined || isMeant(v, wanted));
  if (wanted !== undefined && shown.length === 0)
    throw new BuildError(Code.NotFound, `build ${ref} has no step ${wanted}`);
  for (const step of shown) context.print(`${whyText(step, nameOf)}\n`);
};

export const whyCommand: CommandSpec<CommandContext> = {
  name: 'why',
  usage: 'display why the steps of a build were not cached',
  argsUsage: 'REF [STEP]',
  action: why,
};
