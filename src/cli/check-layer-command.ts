/** `buildctl debug check-layer FILE`: whether a layer keeps the rules of Windows layers, and which it breaks. */
import { createReadStream } from 'node:fs';
import type { Readable } from 'node:stream';
import { BuildError, Code, invalidArgument, wrapError } from '../base/index.ts';
import type { CommandSpec } from '../base/index.ts';
import type { LayerFinding } from '../archive/windows/index.ts';
import type { Action, CommandContext } from './context.ts';

const CHUNK = 1 << 20;

/** Names in a layer are whoever made it's: none of them moves the cursor or turns the line around. */
function harmless(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (c) => `\\u{${c.codePointAt(0)?.toString(16)}}`);
}

function findingText({ entry, problem, rule }: LayerFinding): string {
  return harmless(`${entry === '' ? 'the layer' : entry} ${problem} [${rule}]`);
}

const checkLayer: Action = async (flags, args, { stdin, signal, print }) => {
  const [file] = args;
  if (file === undefined || args.length > 1)
    throw invalidArgument('check-layer takes one file, or - for the standard input');
  const { checkWindowsLayer, decompress } = await import('./layer-reading.ts');
  const source: Readable = file === '-' ? stdin : createReadStream(file, { highWaterMark: CHUNK, signal });
  let findings: readonly LayerFinding[];
  try {
    findings = await checkWindowsLayer(decompress(source), { isBase: flags.bool('base') });
  } catch (error) {
    throw wrapError(error, `could not read ${file === '-' ? 'the layer' : file}`);
  }
  if (findings.length === 0) {
    print('the layer keeps the rules of Windows layers\n');
    return;
  }
  for (const finding of findings) print(`${findingText(finding)}\n`);
  const rules = [...new Set(findings.map(({ rule }) => rule))].toSorted();
  throw new BuildError(Code.FailedPrecondition, `the layer breaks the rules of Windows layers: ${rules.join(', ')}`);
};

export const checkLayerCommand: CommandSpec<CommandContext> = {
  name: 'check-layer',
  usage:
    'say whether a layer (a tar, also in gzip or zstd) keeps the rules of Windows layers, and which it breaks. This command does not require the daemon to be running.',
  argsUsage: '<file>|-',
  flags: [
    { kind: 'bool', name: 'base', usage: 'The layer is the first of its image: there is nothing that it could delete' },
  ],
  action: checkLayer,
};
