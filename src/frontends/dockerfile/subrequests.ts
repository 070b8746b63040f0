/** Questions about a Dockerfile instead of a build: `requestid`. */
import { BuildError, Code, jsonDetail } from '../../base/index.ts';
import { opMetadataJson, protoJson } from '../../llb/index.ts';
import type { BuildResult } from '../../llb/index.ts';
import { digestOf, goJson, indentJson } from '../../oci/index.ts';
import type { GoJsonValue } from '../../oci/index.ts';
import { Op } from '../../proto/ops.pb.ts';
import type { Definition } from '../../proto/ops.pb.ts';
import type { GatewayRef } from '../types.ts';
import { parseStages } from './instructions/index.ts';
import { toWireRanges } from './located-error.ts';
import type { Outline, OutlineArg, OutlineMount } from './lower/index.ts';
import { decodeSource, parseDockerfile } from './parse/index.ts';

type Result = BuildResult<GatewayRef | undefined>;

interface Subrequest {
  readonly Name: string;
  readonly Version: string;
  readonly Description: string;
  readonly opts: readonly { readonly name: string; readonly description: string }[] | null;
}

const OUTLINE: Subrequest = {
  Name: 'frontend.outline',
  Version: '1.0.0',
  Description: 'List all parameters current build target supports',
  opts: [{ name: 'target', description: 'Target build stage' }],
};
const TARGETS: Subrequest = {
  Name: 'frontend.targets',
  Version: '1.0.0',
  Description: 'List all targets current build supports',
  opts: [],
};
const DESCRIBE: Subrequest = {
  Name: 'frontend.subrequests.describe',
  Version: '1.0.0',
  Description: 'List available subrequest types',
  opts: null,
};

/** Columns as Go's tabwriter sets them. */
function table(rows: readonly (readonly string[])[], gap = 1): string {
  const columns = rows[0].length;
  const widths = Array.from({ length: columns }, (_, i) => Math.max(...rows.map((r) => r[i].length)) + gap);
  return rows.map((r) => `${r.map((c, i) => (i < columns - 1 ? c.padEnd(widths[i]) : c)).join('')}\n`).join('');
}

function result(json: GoJsonValue, text: string | undefined, version: string): Result {
  const metadata = new Map<string, Uint8Array>([['result.json', Buffer.from(indentJson(goJson(json)))]]);
  if (text !== undefined) metadata.set('result.txt', Buffer.from(text));
  return { metadata: metadata.set('version', Buffer.from(version)) };
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

function locationJson(location: OutlineArg['location']): GoJsonValue | undefined {
  if (location.length === 0) return undefined;
  return { ranges: location.map(({ start, end }) => ({ start: { line: start }, end: { line: end } })) };
}

const mountsJson = (mounts: readonly OutlineMount[]): GoJsonValue | undefined =>
  mounts.length === 0
    ? undefined
    : mounts.map((m) => ({ name: m.name, required: m.required || undefined, location: locationJson(m.location) }));

/** `data` is the whole file, for the lines that the answer names. */
export function outlineResult({ stage, args, secrets, ssh }: Outline, data: Uint8Array): Result {
  const json = {
    name: stage.stageName || undefined,
    description: stage.description || undefined,
    args:
      args.length === 0
        ? undefined
        : args.map(({ name, description, value, location }) => ({
            name,
            description: description || undefined,
            value: value || undefined,
            location: locationJson(location),
          })),
    secrets: mountsJson(secrets),
    ssh: mountsJson(ssh),
    sources: [Buffer.from(data).toString('base64')],
  };
  let text = '';
  if (stage.stageName !== '' || stage.description !== '') {
    const rows = [['TARGET:', stage.stageName || '(default)']];
    if (stage.description !== '') rows.push(['DESCRIPTION:', stage.description]);
    text += `${table(rows)}\n`;
  }
  if (args.length > 0) {
    const rows = args.map((a) => [a.name, a.value, a.description]);
    text += `${table([['BUILD ARG', 'VALUE', 'DESCRIPTION'], ...rows], 3)}\n`;
  }
  for (const [title, mounts] of [['SECRET', secrets] as const, ['SSH', ssh] as const]) {
    if (mounts.length === 0) continue;
    const rows = mounts.map((m) => [m.name, m.required ? 'true' : '']);
    text += `${table([[title, 'REQUIRED'], ...rows], 3)}\n`;
  }
  return result(json, text, OUTLINE.Version);
}

function describe(): Result {
  const requests = [OUTLINE, TARGETS, DESCRIBE];
  const all = requests.map((r) => ({
    name: r.Name,
    version: r.Version,
    type: 'rpc',
    description: r.Description,
    opts: r.opts,
    inputs: null,
    metadata: ['result.json', 'result.txt'].map((name) => ({ name, description: '' })),
    refs: null,
  }));
  const rows = requests.map((r) => [r.Name.replace(/^frontend\./, ''), r.Version, r.Description]);
  return result(all, table([['NAME', 'VERSION', 'DESCRIPTION'], ...rows]), DESCRIBE.Version);
}

/** The version of `frontend.convertllb`, which the list of subrequests leaves out, as it does upstream. */
const CONVERT_VERSION = '0.1.0';

/** The answer to `frontend.convertllb`: ops in protobuf's JSON by their digests (frontend/subrequests/convertllb). */
export function definitionResult({ def, metadata, Source: source }: Definition): Result {
  const ops = new Map(def.map((bytes) => [digestOf(bytes), protoJson(Op.decode(bytes)) as GoJsonValue]));
  const steps = new Map([...metadata].map(([digest, step]) => [digest, opMetadataJson(step)]));
  const json = { def: ops, metadata: steps, source: protoJson(source ?? {}) as GoJsonValue };
  return result(json, undefined, CONVERT_VERSION);
}

/** Throws errdefs.Subrequest for what is not known, as every client expects it: without a code. */
export function answerSubrequest(id: string, data: Uint8Array): Result {
  if (id === TARGETS.Name) return listTargets(data);
  if (id === DESCRIBE.Name) return describe();
  throw new BuildError(Code.Unknown, `unsupported request ${id}`, {
    details: [jsonDetail('errdefs.Subrequest', { name: id })],
  });
}
