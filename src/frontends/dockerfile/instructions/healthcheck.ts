import { parseDuration } from '../../../base/index.ts';
import { quote } from '../go-text.ts';
import { textError } from '../located-error.ts';
import type { Node } from '../parse/index.ts';
import { Flags } from './flags.ts';
import type { Healthcheck } from './types.ts';

const NOTHING = { interval: 0n, timeout: 0n, startPeriod: 0n, startInterval: 0n, retries: 0 };

function interval(flags: Flags, name: string): bigint {
  const text = flags.string(name);
  if (text === '') return 0n;
  const value = parseDuration(text);
  if (value === undefined) throw textError(`time: invalid duration ${quote(text)}`);
  if (value !== 0n && value < 1_000_000n) throw textError(`Interval "${name}" cannot be less than 1ms`);
  return value;
}

function retries(flags: Flags): number {
  const text = flags.string('retries');
  if (text === '') return 0;
  const value = /^[+-]?\d+$/.test(text) ? Number(text) : NaN;
  if (Number.isNaN(value)) throw textError(`strconv.ParseInt: parsing ${quote(text)}: invalid syntax`);
  if (value < 0) throw textError(`--retries cannot be negative (${value})`);
  if (value > 0x7fffffff) throw textError(`strconv.ParseInt: parsing ${quote(text)}: value out of range`);
  return value;
}

export function parseHealthcheck(node: Node): Healthcheck {
  const [word, ...args] = node.args;
  const type = word.toUpperCase();
  if (type === 'NONE') {
    if (args.length > 0) throw textError('HEALTHCHECK NONE takes no arguments');
    return { ...NOTHING, test: [type] };
  }
  const flags = new Flags(node.flags, {
    interval: 'string',
    timeout: 'string',
    'start-period': 'string',
    'start-interval': 'string',
    retries: 'string',
  });
  if (type !== 'CMD') throw textError(`Unknown type ${quote(type)} in HEALTHCHECK (try CMD)`);
  const command = node.json ? args : args.length === 0 ? [] : [args.join(' ')];
  if (command.length === 0) throw textError('Missing command after HEALTHCHECK CMD');
  return {
    test: [node.json ? 'CMD' : 'CMD-SHELL', ...command],
    interval: interval(flags, 'interval'),
    timeout: interval(flags, 'timeout'),
    startPeriod: interval(flags, 'start-period'),
    startInterval: interval(flags, 'start-interval'),
    retries: retries(flags),
  };
}
