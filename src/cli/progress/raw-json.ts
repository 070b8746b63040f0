import { formatTime } from '../../base/index.ts';
import type {
  CacheMiss,
  StatusResponse,
  Vertex,
  VertexLog,
  VertexStatus,
  VertexWarning,
} from '../../proto/control.pb.ts';
import type { Timestamp } from '../../proto/google/protobuf/timestamp.pb.ts';
import { timeOf } from './trace.ts';

/** Go's zero time, which a missing timestamp becomes. */
const ZERO_TIME = '1970-01-01T00:00:00Z';

function time(t: Timestamp | undefined): string | undefined {
  const ns = timeOf(t);
  return ns === undefined ? undefined : formatTime(ns);
}

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
const some = <T>(list: readonly T[]): readonly T[] | undefined => (list.length === 0 ? undefined : list);
const text = (value: string): string | undefined => (value === '' ? undefined : value);
const count = (value: bigint): number | undefined => (value === 0n ? undefined : Number(value));

/** Not upstream's: why the vertex ran, as our daemon tells it. */
function miss(m: CacheMiss, v: Vertex): unknown {
  return {
    kind: m.kind,
    input: m.kind === 'input' || m.kind === 'content' ? v.inputs[m.input] : undefined,
    changes: some(m.changes),
    totalChanges: count(m.totalChanges),
  };
}

function vertex(v: Vertex): unknown {
  const group = v.progressGroup;
  return {
    digest: text(v.digest),
    inputs: some(v.inputs),
    name: text(v.name),
    started: time(v.started),
    completed: time(v.completed),
    cached: v.cached || undefined,
    error: text(v.error),
    progressGroup: group && { id: text(group.id), name: text(group.name), weak: group.weak || undefined },
    cause: v.cause && { skipped: v.cause.skipped || undefined, misses: some(v.cause.misses.map((m) => miss(m, v))) },
  };
}

function status(s: VertexStatus): unknown {
  return {
    id: s.ID,
    vertex: text(s.vertex),
    name: text(s.name),
    total: count(s.total),
    current: Number(s.current),
    timestamp: time(s.timestamp) ?? ZERO_TIME,
    started: time(s.started),
    completed: time(s.completed),
  };
}

function log(l: VertexLog): unknown {
  return {
    vertex: text(l.vertex),
    stream: count(l.stream),
    data: base64(l.msg),
    timestamp: time(l.timestamp) ?? ZERO_TIME,
  };
}

function position(p: { line: number; character: number } | undefined): unknown {
  return p && { line: p.line || undefined, character: p.character || undefined };
}

function warning(w: VertexWarning): unknown {
  return {
    vertex: text(w.vertex),
    level: count(w.level),
    short: w.short.length === 0 ? undefined : base64(w.short),
    detail: some(w.detail.map(base64)),
    url: text(w.url),
    sourceInfo: w.info && {
      filename: text(w.info.filename),
      data: w.info.data.length === 0 ? undefined : base64(w.info.data),
      language: text(w.info.language),
    },
    range: some(w.ranges.map((r) => ({ start: position(r.start), end: position(r.end) }))),
  };
}

/** One progress message as one line of JSON, in upstream's shape (client/graph.go). */
export function statusJson(s: StatusResponse): string {
  const value = {
    vertexes: some(s.vertexes.map(vertex)),
    statuses: some(s.statuses.map(status)),
    logs: some(s.logs.map(log)),
    warnings: some(s.warnings.map(warning)),
  };
  // Go's encoder escapes what HTML would mind.
  const json = JSON.stringify(value).replace(
    /[<>&\u2028\u2029]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  return `${json}\n`;
}
