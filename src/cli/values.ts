/** Records of the daemon as `--format` sees them: upstream's field names, in upstream's order. */
import { formatTime } from '../base/index.ts';
import type { UsageRecord } from '../proto/control.pb.ts';
import type { Platform } from '../proto/ops.pb.ts';
import type { BuildkitVersion, WorkerRecord } from '../proto/worker.pb.ts';
import type { Timestamp } from '../proto/google/protobuf/timestamp.pb.ts';
import { timeOf } from './progress/index.ts';

export function timeText(t: Timestamp | undefined): string | undefined {
  const ns = timeOf(t);
  return ns === undefined ? undefined : formatTime(ns);
}

/** Go's time.Time as text: `2006-01-02 15:04:05.999 +0000 UTC`. */
export function goTimeText(t: Timestamp | undefined): string {
  return (timeText(t) ?? '1970-01-01T00:00:00Z').replace('T', ' ').replace(/Z$/, ' +0000 UTC');
}

/** RFC 3339 in this machine's zone, whole seconds; empty for none. */
export function localTimeText(t: Timestamp | undefined): string {
  const ns = timeOf(t);
  if (ns === undefined) return '';
  const date = new Date(Number(ns / 1_000_000n));
  const minutes = -date.getTimezoneOffset();
  const local = new Date(date.getTime() + minutes * 60_000).toISOString().slice(0, 19);
  if (minutes === 0) return `${local}Z`;
  const two = (n: number): string => String(n).padStart(2, '0');
  const abs = Math.abs(minutes);
  return `${local}${minutes < 0 ? '-' : '+'}${two(Math.floor(abs / 60))}:${two(abs % 60)}`;
}

/** A slice that nothing was added to is null in Go's JSON. */
export function goSlice<T>(items: readonly T[]): readonly T[] | null {
  return items.length === 0 ? null : items;
}

export function usageValue(r: UsageRecord): Record<string, unknown> {
  const lastUsed = timeText(r.LastUsedAt);
  return {
    id: r.ID,
    mutable: r.Mutable,
    inUse: r.InUse,
    size: r.Size,
    createdAt: timeText(r.CreatedAt) ?? '1970-01-01T00:00:00Z',
    lastUsedAt: lastUsed ?? null,
    usageCount: r.UsageCount,
    parents: goSlice(r.Parents),
    description: r.Description,
    recordType: r.RecordType,
    shared: r.Shared,
  };
}

export function versionValue(v: BuildkitVersion | undefined): Record<string, unknown> {
  return {
    package: v?.package ?? '',
    version: v?.version ?? '',
    revision: v?.revision ?? '',
    ...(v?.dockerfileVersion ? { dockerfileVersion: v.dockerfileVersion } : {}),
  };
}

function platformValue(p: Platform): Record<string, unknown> {
  return {
    architecture: p.Architecture,
    os: p.OS,
    ...(p.OSVersion === '' ? {} : { 'os.version': p.OSVersion }),
    ...(p.OSFeatures.length === 0 ? {} : { 'os.features': p.OSFeatures }),
    ...(p.Variant === '' ? {} : { variant: p.Variant }),
  };
}

export function workerValue(w: WorkerRecord): Record<string, unknown> {
  return {
    id: w.ID,
    labels: w.Labels,
    platforms: goSlice(w.platforms.map(platformValue)),
    gcPolicy: goSlice(
      w.GCPolicy.map((p) => ({
        all: p.all,
        filter: goSlice(p.filters),
        keepDuration: p.keepDuration,
        reservedSpace: p.reservedSpace,
        maxUsedSpace: p.maxUsedSpace,
        minFreeSpace: p.minFreeSpace,
      })),
    ),
    buildkitVersion: versionValue(w.BuildkitVersion),
    cdiDevices: goSlice(
      w.CDIDevices.map((d) => ({
        name: d.Name,
        autoAllow: d.AutoAllow,
        annotations: d.Annotations,
        onDemand: d.OnDemand,
      })),
    ),
  };
}

/** `linux/amd64/v2`, as containerd writes normalized platforms. */
export function platformText(p: Platform): string {
  const variant = p.Architecture === 'arm64' && p.Variant === 'v8' ? '' : p.Variant;
  const os = p.OSVersion === '' ? p.OS : `${p.OS}(${p.OSVersion})`;
  return [os, p.Architecture, variant].filter((part) => part !== '').join('/');
}

/**
 * Messages as Go's encoder writes its generated structs: empty fields left out, times as seconds and nanos, enums as
 * numbers, bytes as base64.
 */
export function goMessage(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  if (Array.isArray(value)) return value.map(goMessage);
  if (value instanceof Map) return new Map([...value].map(([k, v]) => [k, goMessage(v)]));
  if (typeof value !== 'object' || value === null) return value;
  const out: Record<string, unknown> = {};
  for (const [key, v] of Object.entries(value)) {
    const empty =
      key === '_unknownFields' ||
      v === undefined ||
      v === '' ||
      v === 0 ||
      v === 0n ||
      v === false ||
      (Array.isArray(v) && v.length === 0) ||
      (v instanceof Uint8Array && v.length === 0) ||
      (v instanceof Map && v.size === 0);
    if (!empty) out[key === 'mediaType' ? 'media_type' : key] = goMessage(v);
  }
  return out;
}
