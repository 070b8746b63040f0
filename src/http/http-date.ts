/** Times as servers write them: RFC 7231's form, and the two of old that RFC 7231 wants read, too. */
import { timeFromMs } from '../base/index.ts';
import type { TimeNs } from '../base/index.ts';

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
const SHORT = `(?:${DAYS.map((d) => d.slice(0, 3)).join('|')})`;
const MONTH = `(?<month>${MONTHS.join('|')})`;
const CLOCK = '(?<hour>\\d\\d):(?<minute>\\d\\d):(?<second>\\d\\d)';
const FORMS = [
  new RegExp(`^${SHORT}, (?<day>\\d\\d) ${MONTH} (?<year>\\d{4}) ${CLOCK} GMT$`, 'i'),
  // Two digits of the year, as in RFC 850. Abbreviations of zones other than GMT say nothing certain: taken as GMT, as Go does.
  new RegExp(
    `^(?:${DAYS.join('|')}), (?<day>\\d\\d)-${MONTH}-(?<year>\\d\\d) ${CLOCK} (?:[A-Z]{3,5}|[+-]\\d\\d)$`,
    'i',
  ),
  // C's asctime.
  new RegExp(`^${SHORT} ${MONTH} (?<day>[ \\d]\\d) ${CLOCK} (?<year>\\d{4})$`, 'i'),
];

/** Undefined for what is no such time. */
export function parseHttpDate(text: string): TimeNs | undefined {
  for (const form of FORMS) {
    const found = form.exec(text)?.groups;
    if (found === undefined) continue;
    const month = MONTHS.findIndex((m) => m.toLowerCase() === found.month.toLowerCase());
    const [day, hour, minute, second] = [found.day, found.hour, found.minute, found.second].map(Number);
    let year = Number(found.year);
    if (found.year.length === 2) year += year >= 69 ? 1900 : 2000;
    const date = new Date(0);
    date.setUTCFullYear(year, month, day);
    date.setUTCHours(hour, minute, second);
    // 31 February and 25 o'clock would have become other times.
    const same = date.getUTCDate() === day && date.getUTCHours() === hour && minute < 60 && second < 60;
    return same ? timeFromMs(date.getTime()) : undefined;
  }
  return undefined;
}

/** `Wed, 25 Nov 2026 08:00:00 GMT` */
export function formatHttpDate(time: TimeNs): string {
  return new Date(Number(time / 1_000_000n)).toUTCString();
}
