import { constants } from 'node:os';
import { invalidArgument } from '../../base/index.ts';

const RT_MIN = 34;
const RT_MAX = 64;
/** Names that Linux has beside those of Node. */
const OTHERS: ReadonlyMap<string, number> = new Map([
  ['CLD', constants.signals.SIGCHLD],
  ['RTMIN', RT_MIN],
  ['RTMAX', RT_MAX],
]);

/** The number of a signal named as in SignalMessage, without `SIG`: `HUP`, `RTMIN+3` (github.com/moby/sys/signal). */
export function signalNumber(name: string): number {
  const known = (constants.signals as Readonly<Record<string, number>>)[`SIG${name}`] ?? OTHERS.get(name);
  if (known !== undefined) return known;
  const [, base, offset] = /^(RTMIN\+|RTMAX-)(\d{1,2})$/.exec(name) ?? [];
  const number = base === 'RTMIN+' ? RT_MIN + Number(offset) : RT_MAX - Number(offset);
  if (base === undefined || number < RT_MIN || number > RT_MAX) throw invalidArgument(`Unknown signal ${name}`);
  return number;
}
