import type { BuildError } from '../base/index.ts';

/** The JSON of errdefs.Source: a part of a user's file. */
interface SourceDetail {
  readonly info?: { readonly filename?: string; readonly data?: string };
  readonly ranges?: readonly { readonly start?: { line?: number }; readonly end?: { line?: number } }[];
}

const SOURCE = 'github.com/moby/buildkit/errdefs.Source+json';
const DECISION = 'github.com/moby/buildkit/policysession.DecisionResponse+json';

function lineRanges(source: SourceDetail): [number, number][] {
  return (source.ranges ?? []).map((r) => {
    const start = r.start?.line ?? 0;
    return [start, Math.max(start, r.end?.line ?? 0)];
  });
}

/** The lines that an error is about and some around them; empty when the source does not have them. */
export function renderSource(source: SourceDetail): string {
  const ranges = lineRanges(source);
  if (source.info === undefined || ranges.length === 0) return '';
  const lines = Buffer.from(source.info.data ?? '', 'base64')
    .toString('utf8')
    .split('\n');
  let start = Math.min(...ranges.map(([from]) => from));
  let end = Math.max(...ranges.map(([, to]) => to));
  if (start < 1 || start > lines.length) return '';
  end = Math.min(end, lines.length);
  const first = start;
  // One line has four around it, several have two at each side at most; what one side lacks the other gets.
  const room = start === end ? 4 : 2;
  for (let used = 0; used < room; used++) {
    if (start > 1) {
      start--;
      used++;
    }
    if (end !== lines.length) {
      end++;
      used++;
    }
  }
  let out = `${source.info.filename ?? ''}:${first}\n--------------------\n`;
  for (let n = start; n <= end; n++) {
    const mark = ranges.some(([from, to]) => from <= n && n <= to) ? '>>>' : '   ';
    out += ` ${String(n).padStart(3)} | ${mark} ${lines[n - 1]}\n`;
  }
  return `${out}--------------------\n`;
}

function parseDetail(value: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(value).toString('utf8'));
  } catch {
    return undefined;
  }
}

/** What stands before `error: …`: excerpts of the sources, innermost first, then what a policy said. */
export function renderErrorContext(error: BuildError): string {
  let out = '';
  for (const detail of error.details) {
    if (detail.typeUrl === SOURCE) out += renderSource((parseDetail(detail.value) ?? {}) as SourceDetail);
  }
  for (const detail of error.details) {
    if (detail.typeUrl !== DECISION) continue;
    const decision = parseDetail(detail.value) as { denyMessages?: readonly { message?: unknown }[] } | undefined;
    for (const { message } of decision?.denyMessages ?? []) {
      if (typeof message === 'string' && message !== '') out += `policy deny: ${message}\n`;
    }
  }
  return out;
}
