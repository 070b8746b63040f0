import { csvFields, invalidArgument, nowNs, parseDuration, parseTime } from '../../base/index.ts';
import { parseGitUrl } from '../../llb/index.ts';
import type { BuildHistoryRecord } from '../../proto/control.pb.ts';
import { parseFilters } from '../../storage/index.ts';
import { fromTimestamp } from './wire-time.ts';

export type RecordFilter = (record: BuildHistoryRecord) => boolean;

const MAX_FILTERS = 64;
/** Longest first: `>=` is no `>`. */
const COMPARISONS = ['>=', '<=', '>', '<'] as const;
type Comparison = (typeof COMPARISONS)[number];

/** Of several filters one must hold; of the parts of one, which commas separate, all. None: everything. */
export function recordFilter(texts: readonly string[]): RecordFilter {
  if (texts.length > MAX_FILTERS) throw invalidArgument(`more than ${MAX_FILTERS} history filters`);
  if (texts.length === 0) return () => true;
  const filters = texts.map((text) => parseOne(text));
  return (record) => filters.some((filter) => filter(record));
}

function parseOne(text: string): RecordFilter {
  const comparisons: RecordFilter[] = [];
  const rest: string[] = [];
  for (const field of csvFields(text)) {
    const comparison = parseComparison(field);
    if (comparison === undefined) rest.push(field);
    else comparisons.push(comparison);
  }
  const filter = parseFilters([rest.join(',')], 'history');
  return (record) => comparisons.every((comparison) => comparison(record)) && filter(([name]) => fieldOf(record, name));
}

/** `startedAt>1h` and such, which containerd's filters do not know; a duration stands for that long ago. */
function parseComparison(field: string): RecordFilter | undefined {
  const operator = COMPARISONS.find((o) => field.includes(o));
  if (operator === undefined) return undefined;
  const at = field.indexOf(operator);
  const value = field.slice(at + operator.length);
  const duration = parseDuration(value);
  switch (field.slice(0, at)) {
    case 'startedAt': {
      const limit = pointInTime(value, duration);
      return (record) => compare(seconds(fromTimestamp(record.CreatedAt)), operator, limit);
    }
    case 'completedAt': {
      const limit = pointInTime(value, duration);
      return (record) => compare(seconds(fromTimestamp(record.CompletedAt)), operator, limit);
    }
    case 'duration': {
      if (duration === undefined) throw invalidArgument(`invalid duration ${value}`);
      return ({ CreatedAt, CompletedAt }) => {
        const took = CompletedAt === undefined ? 0n : fromTimestamp(CompletedAt) - fromTimestamp(CreatedAt);
        return compare(took, operator, duration);
      };
    }
    default:
      return undefined;
  }
}

/** Points in time are compared by the second. */
function seconds(time: bigint): bigint {
  return time / 1_000_000_000n;
}

function pointInTime(text: string, ago: bigint | undefined): bigint {
  const time = ago === undefined ? parseTime(text) : nowNs() - ago;
  if (time === undefined) throw invalidArgument(`invalid time ${text}`);
  return seconds(time);
}

function compare(value: bigint, operator: Comparison, limit: bigint): boolean {
  switch (operator) {
    case '>=':
      return value >= limit;
    case '<=':
      return value <= limit;
    case '>':
      return value > limit;
    case '<':
      return value < limit;
  }
}

function fieldOf(record: BuildHistoryRecord, name: string | undefined): string | undefined {
  switch (name) {
    case 'ref':
      return record.Ref === '' ? undefined : record.Ref;
    case 'status':
      if (record.CompletedAt === undefined) return 'running';
      if (record.error === undefined) return 'completed';
      return record.error.message.includes('context canceled') ? 'canceled' : 'error';
    case 'repository':
      return record.FrontendAttrs.get('vcs:source') ?? parseGitUrl(record.FrontendAttrs.get('context') ?? '')?.remote;
    default:
      return undefined;
  }
}
