/** STOPSIGNAL takes a number or a name, as moby/sys/signal does. */
import { constants } from 'node:os';
import { textError } from '../located-error.ts';

const REAL_TIME = /^RTM(?:IN(?:\+(?:[1-9]|1[0-5]))?|AX(?:-(?:[1-9]|1[0-4]))?)$/;
const ALIASES = new Set(['CLD', 'STKFLT', 'IOT', 'POLL', 'UNUSED']);

export function checkSignal(text: string): void {
  const invalid = (): Error => textError(`invalid signal: ${text}`);
  if (/^[+-]?\d+$/.test(text)) {
    if (Number(text) === 0) throw invalid();
    return;
  }
  const name = text.toUpperCase().replace(/^SIG/, '');
  if (!(`SIG${name}` in constants.signals) && !ALIASES.has(name) && !REAL_TIME.test(name)) throw invalid();
}
