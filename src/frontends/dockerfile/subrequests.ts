/** Questions about a Dockerfile instead of a build: `requestid`. */
import { BuildError, Code, jsonDetail } from '../../base/index.ts';
import type { BuildResult } from '../../llb/index.ts';
import type { GatewayRef } from '../types.ts';
import { parseStages } from './instructions/index.ts';
import { toWireRanges } from './located-error.ts';
import { decodeSource, parseDockerfile } from './parse/index.ts';

type Result = BuildResult<GatewayRef | undefined>;

const TARGETS = {
  Name: 'frontend.targets',
  Version: '1.0.0',
  Type: 'rpc',
  Description: 'List all targets current build supports',
};
const DESCRIBE = {
  Name: 'frontend.subrequests.describe',
  Version: '1.0.0',
  Type: 'rpc',
  Description: 'List available subrequest types',
};

function table(rows: readonly (readonly string[])[]): string {
  const columns = rows[0].length;
  const widths = Array.from({ length: columns }, (_, i) => Math.max(...rows.map((r) => r[i].length)) + 1);
  return rows.map((r) => `${r.map((c, i) => (i < columns - 1 ? c.padEnd(widths[i]) : c)).join('')}\n`).join('');
}

function result(json: unknown, text: string, version: string): Result {
  return {
    metadata: new Map([
      ['result.json', Buffer.from(JSON.stringify(json, undefined, 2))],
      ['result.txt', Buffer.from(text)],
      ['version', Buffer.from(version)],
    ]),
  };
}

function listTargets(data: Uint8Array): Result {
  const { stages } = parseStages(parseDockerfile(decodeSource(data)).nodes);
  const targets = stages.map((s, i) => ({
    name: s.stageName || undefined,
    default: i === stages.length - 1 || undefined,
    description: s.description || undefined,
    base: s.baseName,
    platform: s.platform || undefined,
    location: {
      ranges: toWireRanges(s.location).map((r) => ({ start: { line: r.start?.line }, end: { line: r.end?.line } })),
    },
  }));
  const rows = targets.map((t) => {
    const name = t.name === undefined ? (t.default ? '(default)' : '') : t.default ? `${t.name} (default)` : t.name;
    return [name, t.description ?? ''];
  });
  const text = table([['TARGET', 'DESCRIPTION'], ...rows]);
  return result({ targets, sources: [Buffer.from(data).toString('base64')] }, text, TARGETS.Version);
}

function describe(): Result {
  const all = [TARGETS, DESCRIBE].map((r) => ({
    name: r.Name,
    version: r.Version,
    type: r.Type,
    description: r.Description,
    opts: r === TARGETS ? [] : null,
    inputs: null,
    metadata: ['result.json', 'result.txt'].map((name) => ({ name, description: '' })),
    refs: null,
  }));
  const rows = [TARGETS, DESCRIBE].map((r) => [r.Name.replace(/^frontend\./, ''), r.Version, r.Description]);
  return result(all, table([['NAME', 'VERSION', 'DESCRIPTION'], ...rows]), DESCRIBE.Version);
}

/** Throws Unimplemented for what is not known. */
export function answerSubrequest(id: string, data: Uint8Array): Result {
  if (id === TARGETS.Name) return listTargets(data);
  if (id === DESCRIBE.Name) return describe();
  throw new BuildError(Code.Unimplemented, `unsupported request ${id}`, {
    details: [jsonDetail('errdefs.Subrequest', { name: id })],
  });
}
