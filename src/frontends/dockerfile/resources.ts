/** Limits for the processes of RUN: `ulimit`, `memory`, `cpushares` and their kind. */
import { cut, parseCsv } from './go-text.ts';
import { textError } from './located-error.ts';

export interface Ulimit {
  readonly name: string;
  readonly soft: bigint;
  readonly hard: bigint;
}

export interface Resources {
  readonly memory: bigint;
  readonly memorySwap: bigint;
  readonly cpuShares: bigint;
  readonly cpuPeriod: bigint;
  readonly cpuQuota: bigint;
  readonly cpusetCpus: string;
  readonly cpusetMems: string;
}

const ULIMITS = new Set(
  'core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack'.split(' '),
);

function limit(text: string): bigint {
  if (!/^[+-]?\d{1,19}$/.test(text)) throw textError(`strconv.ParseInt: parsing "${text}": invalid syntax`);
  return BigInt(text);
}

function parseUlimit(text: string): Ulimit {
  const [name, value, found] = cut(text, '=');
  if (!found) throw textError(`invalid ulimit argument: ${text}`);
  if (!ULIMITS.has(name)) throw textError(`invalid ulimit type: ${name}`);
  const parts = value.split(':');
  if (parts.length > 2)
    throw textError(`too many limit value arguments - ${value}, can only have up to two, \`soft[:hard]\``);
  const soft = limit(parts[0]);
  const hard = parts[1] === undefined ? soft : limit(parts[1]);
  if (hard !== -1n && (soft === -1n || soft > hard)) {
    throw textError(
      soft === -1n
        ? `ulimit soft limit must be less than or equal to hard limit: soft: -1 (unlimited), hard: ${hard}`
        : `ulimit soft limit must be less than or equal to hard limit: ${soft} > ${hard}`,
    );
  }
  return { name, soft, hard };
}

/** Comma separated `name=soft[:hard]`. */
export function parseUlimits(text: string): Ulimit[] {
  if (text === '') return [];
  const fields = parseCsv(text);
  if (fields === undefined) throw textError('parse error: invalid quoting');
  return fields.map(parseUlimit);
}

function positive(raw: ReadonlyMap<string, string>, key: string, allowUnlimited = false): bigint {
  const text = raw.get(key) ?? '';
  if (text === '') return 0n;
  if (!/^[+-]?\d{1,19}$/.test(text)) {
    throw textError(`invalid ${key} value: ${text}: strconv.ParseInt: parsing "${text}": invalid syntax`);
  }
  const value = BigInt(text);
  if (value > 0n || (allowUnlimited && value === -1n)) return value;
  const rule = allowUnlimited ? 'must be -1 (unlimited) or > 0' : 'must be > 0';
  throw textError(`invalid ${key} value: ${text}: ${rule}`);
}

function cpuset(raw: ReadonlyMap<string, string>, key: string): string {
  const text = raw.get(key) ?? '';
  const ok =
    text === '' ||
    text.split(',').every((part) => {
      const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(part);
      return match !== null && (match[2] === undefined || Number(match[1]) <= Number(match[2]));
    });
  if (!ok) throw textError(`invalid ${key} value: ${text}`);
  return text;
}

/** Undefined when nothing is limited. */
export function parseResources(raw: ReadonlyMap<string, string>): Resources | undefined {
  const resources: Resources = {
    memory: positive(raw, 'memory'),
    memorySwap: positive(raw, 'memswap', true),
    cpuShares: positive(raw, 'cpushares'),
    cpuPeriod: positive(raw, 'cpuperiod'),
    cpuQuota: positive(raw, 'cpuquota'),
    cpusetCpus: cpuset(raw, 'cpusetcpus'),
    cpusetMems: cpuset(raw, 'cpusetmems'),
  };
  return Object.values(resources).every((v) => v === 0n || v === '') ? undefined : resources;
}
