/** Progress of a job as messages (moby.buildkit.v1.StatusResponse), cut so that none comes near what a message may hold. */
import type { TimeNs } from '../base/index.ts';
import type { StatusResponse, VertexCause, VertexLog as PbLog } from '../proto/control.pb.ts';
import type { Timestamp } from '../proto/google/protobuf/timestamp.pb.ts';
import type { Range, SourceInfo } from '../proto/ops.pb.ts';
import type { StatusBatch, VertexState } from '../solver/index.ts';
import { toTimestamp } from './history/wire-time.ts';

/** Log bytes in one message (upstream: control/control.go). */
const MAX_LOG_BYTES = 1 << 20;

function optionalTime(time: TimeNs | undefined): Timestamp | undefined {
  return time === undefined ? undefined : toTimestamp(time);
}

function logChunks(logs: StatusBatch['logs']): PbLog[][] {
  const chunks: PbLog[][] = [];
  let size = Infinity;
  for (const log of logs) {
    if (size + log.msg.length > MAX_LOG_BYTES) {
      chunks.push([]);
      size = 0;
    }
    size += log.msg.length;
    const wire = {
      vertex: log.vertex,
      timestamp: toTimestamp(log.timestamp),
      stream: BigInt(log.stream),
      msg: log.msg,
    };
    chunks[chunks.length - 1].push(wire);
  }
  return chunks;
}

function causeToWire({ skipped = false, misses = [] }: VertexState): VertexCause | undefined {
  if (!skipped && misses.length === 0) return undefined;
  return {
    skipped,
    misses: misses.map((miss) => {
      const change = miss.kind === 'content' ? miss.change : undefined;
      return {
        kind: miss.kind,
        input: 'input' in miss ? miss.input : 0,
        changes: [...(change?.lines ?? [])],
        totalChanges: BigInt(change?.total ?? 0),
      };
    }),
  };
}

/** One message, and more where the logs are long. */
export function statusToWire(batch: StatusBatch): StatusResponse[] {
  const [first = [], ...rest] = logChunks(batch.logs);
  const main: StatusResponse = {
    vertexes: batch.vertexes.map((v) => ({
      digest: v.digest,
      inputs: [...v.inputs],
      name: v.name,
      cached: v.cached,
      started: optionalTime(v.started),
      completed: optionalTime(v.completed),
      error: v.error,
      progressGroup: v.progressGroup && { ...v.progressGroup },
      cause: causeToWire(v),
    })),
    statuses: batch.statuses.map((s) => ({
      ID: s.id,
      vertex: s.vertex,
      name: s.name,
      current: BigInt(Math.trunc(s.current)),
      total: BigInt(Math.trunc(s.total)),
      timestamp: toTimestamp(s.timestamp),
      started: optionalTime(s.started),
      completed: optionalTime(s.completed),
    })),
    logs: first,
    warnings: batch.warnings.map((w) => ({
      vertex: w.vertex,
      level: BigInt(w.level),
      short: w.short,
      detail: [...(w.detail ?? [])],
      url: w.url ?? '',
      info: w.sourceInfo as SourceInfo | undefined,
      ranges: (w.ranges ?? []) as Range[],
    })),
  };
  return [main, ...rest.map((logs) => ({ vertexes: [], statuses: [], logs, warnings: [] }))];
}
