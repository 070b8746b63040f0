/** Go's reading of attribute values and times, where results depend on it. */
import { BuildError, Code, invalidArgument } from '../base/index.ts';

/** strconv.ParseBool. */
export function parseGoBool(key: string, value: string, context = `non-bool value specified for ${key}`): boolean {
  if (['1', 't', 'T', 'true', 'TRUE', 'True'].includes(value)) return true;
  if (['0', 'f', 'F', 'false', 'FALSE', 'False'].includes(value)) return false;
  throw invalidArgument(`${context}: strconv.ParseBool: parsing ${JSON.stringify(value)}: invalid syntax`);
}

/** strconv.ParseInt in base 10. */
export function parseGoInt(value: string, context: string): number {
  const parsed = /^[+-]?\d{1,19}$/.test(value) ? BigInt(value) : undefined;
  if (parsed === undefined) {
    throw new BuildError(
      Code.Unknown,
      `${context}: strconv.ParseInt: parsing ${JSON.stringify(value)}: invalid syntax`,
    );
  }
  if (BigInt.asIntN(64, parsed) !== parsed || !Number.isSafeInteger(Number(parsed))) {
    throw new BuildError(
      Code.Unknown,
      `${context}: strconv.ParseInt: parsing ${JSON.stringify(value)}: value out of range`,
    );
  }
  return Number(parsed);
}

/** A time with the zone that it was written in: Go keeps it over reading and writing. */
export interface GoTime {
  readonly ns: bigint;
  /** As time.Time marshals: RFC 3339, up to nine decimals without trailing zeros. */
  readonly text: string;
}

const RFC3339 = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:[.,](\d+))?(Z|[+-]\d\d:\d\d)$/;

/** Throws InvalidArgument when it is none. */
export function parseGoTime(text: string): GoTime {
  const m = RFC3339.exec(text);
  const ms = m === null ? NaN : Date.parse(`${m[1]}${m[3]}`);
  if (m === null || Number.isNaN(ms)) {
    throw new BuildError(
      Code.Unknown,
      `parsing time ${JSON.stringify(text)} as "2006-01-02T15:04:05Z07:00": cannot parse`,
    );
  }
  const fraction = (m[2] ?? '').slice(0, 9).padEnd(9, '0');
  const shown = fraction.replace(/0+$/, '');
  const zone = m[3] === '+00:00' || m[3] === '-00:00' ? 'Z' : m[3];
  return { ns: BigInt(ms) * 1_000_000n + BigInt(fraction), text: `${m[1]}${shown === '' ? '' : `.${shown}`}${zone}` };
}
