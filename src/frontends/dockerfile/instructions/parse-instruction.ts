/** One parsed line becomes one instruction. */
import { cut, isSpace, quote, trimSpace } from '../go-text.ts';
import { textError, withLocation } from '../located-error.ts';
import { INSTRUCTION_NAMES } from '../parse/index.ts';
import type { Node } from '../parse/index.ts';
import { withSuggestion } from '../suggest.ts';
import { parseAdd, parseCopy } from './copy.ts';
import { Flags } from './flags.ts';
import { parseHealthcheck } from './healthcheck.ts';
import { commandArgs, commandLine, parseRun } from './run.ts';
import type { Command, KeyValue, Located, Stage } from './types.ts';

const STAGE_NAME = /^[a-z][a-z0-9-_.]*$/;

function baseOf(node: Node): Located {
  return { name: node.command, code: trimSpace(node.original), location: node.location, comments: node.comments };
}

function atLeastOne(node: Node, instruction: string): void {
  if (node.args.length === 0) throw textError(`${instruction} requires at least one argument`);
}

function exactlyOne(node: Node, instruction: string): string {
  if (node.args.length !== 1) throw textError(`${instruction} requires exactly one argument`);
  return node.args[0];
}

function keyValues(node: Node, instruction: string): KeyValue[] {
  atLeastOne(node, instruction);
  const pairs: KeyValue[] = [];
  for (let i = 0; i + 2 < node.args.length; i += 3) {
    const [key, value, separator] = node.args.slice(i, i + 3);
    if (key === '') throw textError(`${instruction} names can not be blank`);
    pairs.push({ key, value, legacy: separator === '' });
  }
  return pairs;
}

/** What a comment above says of `name`. */
function descriptionOf(comments: readonly string[], name: string): string {
  if (name === '') return '';
  return comments.find((c) => c.startsWith(`${name} `))?.slice(name.length + 1) ?? '';
}

function parseFrom(node: Node, base: Located): Stage {
  const { args } = node;
  let stageName = '';
  if (args.length === 3 && args[1].toLowerCase() === 'as') {
    stageName = args[2].toLowerCase();
    if (!STAGE_NAME.test(stageName)) {
      throw textError(
        `invalid name for build stage: ${quote(args[2])}, name can't start with a number or contain symbols`,
      );
    }
  } else if (args.length !== 1) throw textError('FROM requires either one or three arguments');
  const flags = new Flags(node.flags, { platform: 'string' });
  return {
    ...base,
    kind: 'from',
    stageName,
    baseName: args[0],
    platform: flags.string('platform'),
    description: descriptionOf(node.comments, stageName),
    commands: [],
  };
}

function onbuildExpression(node: Node): string {
  atLeastOne(node, 'ONBUILD');
  new Flags(node.flags);
  const trigger = trimSpace(node.args[0]).toUpperCase();
  if (trigger === 'ONBUILD') throw textError("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed");
  if (trigger === 'MAINTAINER' || trigger === 'FROM') {
    throw textError(`${trigger} isn't allowed as an ONBUILD trigger`);
  }
  const bodies = node.heredocs.map((h) => `\n${h.content}${h.name}`);
  return node.original.replace(/^\s*ONBUILD\s*/i, '') + bodies.join('');
}

/** Of a path of Windows in quotes, whose backslashes make it no JSON; empty where there is none. */
function unescapedHint(instruction: string, node: Node): string {
  const text = node.original.toLowerCase().replaceAll(`${instruction} `, '').replaceAll('/', '\\');
  if (!/"[a-z]:\\/.test(text) || text.includes('\\\\') || !text.includes('[') || !text.includes(']')) return '';
  const example = '["c:\\\\path\\\\to\\\\file.exe", "/parameter"]';
  return `. It looks like '${text}' includes a file path without an escaped back-slash. JSON requires back-slashes to be escaped such as ${example}`;
}

function parseShell(node: Node): readonly string[] {
  new Flags(node.flags);
  const shell = commandArgs(node);
  if (shell.length === 0) throw textError('SHELL requires at least one argument');
  if (!node.json) throw textError(`SHELL requires the arguments to be in JSON form${unescapedHint('shell', node)}`);
  return shell;
}

function volumes(node: Node): string[] {
  atLeastOne(node, 'VOLUME');
  new Flags(node.flags);
  return node.args.map((arg) => {
    const volume = trimSpace(arg);
    if (volume === '') throw textError('VOLUME specified can not be an empty string');
    return volume;
  });
}

function parse(node: Node): Command | Stage {
  const base = baseOf(node);
  const noFlags = (): Flags => new Flags(node.flags);
  switch (node.command.toLowerCase()) {
    case 'env':
      noFlags();
      return { ...base, kind: 'env', pairs: keyValues(node, 'ENV') };
    case 'label':
      noFlags();
      return { ...base, kind: 'label', pairs: keyValues(node, 'LABEL') };
    case 'maintainer': {
      const author = exactlyOne(node, 'MAINTAINER');
      noFlags();
      return { ...base, kind: 'maintainer', author };
    }
    case 'add':
      return parseAdd(node, base);
    case 'copy':
      return parseCopy(node, base);
    case 'from':
      return parseFrom(node, base);
    case 'onbuild':
      return { ...base, kind: 'onbuild', expression: onbuildExpression(node) };
    case 'workdir': {
      const path = exactlyOne(node, 'WORKDIR');
      noFlags();
      return { ...base, kind: 'workdir', path };
    }
    case 'run':
      return parseRun(node, base);
    case 'cmd':
      noFlags();
      return { ...base, kind: 'cmd', line: commandLine(node) };
    case 'entrypoint':
      noFlags();
      return { ...base, kind: 'entrypoint', line: commandLine(node) };
    case 'healthcheck':
      atLeastOne(node, 'HEALTHCHECK');
      return { ...base, kind: 'healthcheck', health: parseHealthcheck(node) };
    case 'expose':
      atLeastOne(node, 'EXPOSE');
      noFlags();
      return { ...base, kind: 'expose', ports: node.args.toSorted() };
    case 'user': {
      const user = exactlyOne(node, 'USER');
      noFlags();
      return { ...base, kind: 'user', user };
    }
    case 'volume':
      return { ...base, kind: 'volume', volumes: volumes(node) };
    case 'stopsignal':
      return { ...base, kind: 'stopsignal', signal: exactlyOne(node, 'STOPSIGNAL') };
    case 'arg':
      atLeastOne(node, 'ARG');
      return {
        ...base,
        kind: 'arg',
        args: node.args.map((arg) => {
          const [key, value, found] = cut(arg, '=');
          if (key === '') throw textError('ARG names can not be blank');
          return { key, value: found ? value : undefined, description: descriptionOf(node.comments, key) };
        }),
      };
    case 'shell':
      return { ...base, kind: 'shell', shell: parseShell(node) };
    default: {
      const word = printable(node.command);
      throw withSuggestion(textError(`unknown instruction: ${word}`), word, INSTRUCTION_NAMES, false);
    }
  }
}

/** A binary file's first "word" must neither be long nor play with the terminal. */
function printable(word: string): string {
  const text = Array.from(word).slice(0, 256).join('');
  // oxlint-disable-next-line no-control-regex
  return isSpace(text) || /[\x00-\x1f\x7f\ufffd]/.test(text) ? quote(text) : text;
}

/** Throws LocatedErrors. */
export function parseInstruction(node: Node): Command | Stage {
  try {
    return parse(node);
  } catch (error) {
    throw withLocation(error, node.location);
  }
}
