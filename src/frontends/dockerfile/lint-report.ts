/** The answer to `frontend.lint`: all warnings, with the lines they are about, and the error that ended the look. */
import { definitionJson } from '../../llb/index.ts';
import type { BuildResult, SourceMap } from '../../llb/index.ts';
import { goJson, indentJson } from '../../oci/index.ts';
import type { GoJsonValue } from '../../oci/index.ts';
import type { GatewayRef } from '../types.ts';
import type { LintWarning } from './lint/index.ts';
import type { LineRange } from './located-error.ts';

const RULE_LINE = '--------------------';

/** `file:line` and the lines around, the ones in question marked. */
function excerpt({ filename, data }: SourceMap, ranges: readonly LineRange[]): string {
  const lines = Buffer.from(data).toString('utf8').split('\n');
  if (ranges.length === 0) return '';
  const first = Math.min(...ranges.map((r) => r.start));
  let start = first;
  let end = Math.min(Math.max(...ranges.map((r) => r.end)), lines.length);
  if (start < 1 || start > lines.length) return '';
  const around = start === end ? 4 : 2;
  for (let shown = 0; shown < around; shown++) {
    if (start > 1) {
      start--;
      shown++;
    }
    if (end < lines.length) {
      end++;
      shown++;
    }
  }
  let text = `${filename}:${first}\n${RULE_LINE}\n`;
  for (let line = start; line <= end; line++) {
    const mark = ranges.some((r) => r.start <= line && line <= r.end) ? '>>>' : '   ';
    text += ` ${String(line).padStart(3)} | ${mark} ${lines[line - 1]}\n`;
  }
  return `${text}${RULE_LINE}\n`;
}

function locationJson(ranges: readonly LineRange[]): GoJsonValue {
  return { ranges: ranges.map((r) => ({ start: { line: r.start }, end: { line: r.end } })) };
}

function warningJson({ rule, description, url, message, location }: LintWarning): GoJsonValue {
  return { ruleName: rule, description, url: url || undefined, detail: message, location: locationJson(location) };
}

export function lintReport(
  map: SourceMap,
  warnings: readonly LintWarning[],
  failure: { message: string; ranges: readonly LineRange[] } | undefined,
): BuildResult<GatewayRef | undefined> {
  const json = {
    warnings: warnings.length === 0 ? null : warnings.map(warningJson),
    sources: [
      {
        filename: map.filename,
        data: map.data,
        definition: map.definition && definitionJson(map.definition),
        language: map.language,
      },
    ],
    buildError: failure && { message: failure.message, location: locationJson(failure.ranges) },
  };
  const byLine = warnings.toSorted((a, b) => (a.location[0]?.start ?? 0) - (b.location[0]?.start ?? 0));
  const texts = byLine.map((w) => {
    const page = w.url === '' ? '' : ` - ${w.url}`;
    return `\nWARNING: ${w.rule}${page}\n${w.message}\n${excerpt(map, w.location)}`;
  });
  const status = warnings.length > 0 || failure !== undefined ? 1 : 0;
  return {
    metadata: new Map([
      ['result.json', Buffer.from(indentJson(goJson(json)))],
      ['result.txt', Buffer.from(texts.join(''))],
      ['result.statuscode', Buffer.from(String(status))],
      ['version', Buffer.from('1.0.0')],
    ]),
  };
}
