import { cut, parseBool, parseCsv, quote } from '../go-text.ts';
import { textError } from '../located-error.ts';
import type { Node } from '../parse/index.ts';
import { withSuggestion } from '../suggest.ts';
import { Flags } from './flags.ts';
import { mountFrom } from './mount.ts';
import type { CommandLine, CommandOf, Device, Located } from './types.ts';

/** The words of the shell form are one text. */
export function commandArgs(node: Node): readonly string[] {
  if (node.json || node.args.length === 0) return node.args;
  return [node.args.join(' ')];
}

export function commandLine(node: Node): CommandLine {
  const files = node.heredocs.map((h) => ({ name: h.name, data: h.content, chomp: h.chomp }));
  return { args: commandArgs(node), files, shellForm: !node.json };
}

function parseDevice(value: string): Device {
  const fields = parseCsv(value);
  if (fields === undefined) throw textError('failed to parse csv devices: parse error: invalid quoting');
  let name = '';
  let required = false;
  for (const field of fields) {
    const [written, text, found] = cut(field, '=');
    const key = written.toLowerCase();
    if (key === 'required') {
      const flag = found ? parseBool(text) : true;
      if (flag === undefined) throw textError(`invalid value for ${key}: ${text}`);
      required = flag;
    } else if (key === 'name' && found) {
      if (name !== '') throw textError(`device name already set to ${name}`);
      name = text;
    } else if (name === '') name = field;
    else if (!found) throw textError(`invalid field '${field}' must be a key=value pair`);
    else {
      throw withSuggestion(textError(`unexpected key '${key}' in '${field}'`), key, ['name', 'required'], true);
    }
  }
  return { name, required };
}

function oneOf<T extends string>(value: string, allowed: readonly T[], message: string): T {
  const found = allowed.find((a) => a === value);
  if (found === undefined) throw textError(message);
  return found;
}

export function parseRun(node: Node, base: Located): CommandOf<'run'> {
  const flags = new Flags(node.flags, { mount: 'list', network: 'string', security: 'string', device: 'list' });
  const mounts = flags.list('mount');
  for (const mount of mounts) mountFrom(mount);
  const network = flags.bool('network') === undefined ? 'default' : flags.string('network');
  const security = flags.bool('security') === undefined ? 'sandbox' : flags.string('security');
  return {
    ...base,
    kind: 'run',
    line: commandLine(node),
    mounts,
    devices: flags.list('device').map(parseDevice),
    network: oneOf(network, ['default', 'none', 'host'], `invalid network mode ${quote(network)}`),
    security: oneOf(security, ['sandbox', 'insecure'], `security ${quote(security)} is not valid`),
  };
}
