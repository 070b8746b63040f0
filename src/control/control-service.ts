/** moby.buildkit.v1.Control (upstream: control/control.go). */
import { BuildError, Code, formatTime, invalidArgument, isNotFound, nowNs, VERSION } from '../base/index.ts';
import { platformToWire, statusToWire, toTimestamp } from '../build/index.ts';
import { ControlDefinition } from '../proto/control.pb.ts';
import type { UsageRecord, PruneRequest } from '../proto/control.pb.ts';
import type { CDIDevice, BuildkitVersion, GCPolicy, WorkerRecord } from '../proto/worker.pb.ts';
import { bytesMethod, linkFromServerCall } from '../rpc/index.ts';
import type { Handlers, ServerCall } from '../rpc/index.ts';
import { parseFilters } from '../storage/index.ts';
import type { DiskUsageRecord, PruneOptions } from '../storage/index.ts';
import { parseTraceParent } from '../trace/index.ts';
import type { DeviceList, ControlDeps } from './deps.ts';

/** The service, with a Session whose bytes are not copied. */
export const Control = {
  ...ControlDefinition,
  methods: { ...ControlDefinition.methods, session: bytesMethod(ControlDefinition.methods.session) },
};

const TIMESTAMP_KEY = 'buildkit-current-timestamp';
/** How long Status waits for a build that was not asked for yet. */
const JOB_WAIT_MS = 6000;

function sendTimestamp(call: ServerCall): void {
  call.sendHeader([[TIMESTAMP_KEY, formatTime(nowNs())]]);
}

function usageToWire(record: DiskUsageRecord): UsageRecord {
  return {
    ID: record.id,
    Mutable: record.mutable,
    InUse: record.inUse,
    Size: BigInt(Math.trunc(record.size)),
    Parent: record.parents.length === 1 ? record.parents[0] : '',
    CreatedAt: toTimestamp(record.createdAt),
    LastUsedAt: record.lastUsedAt === undefined ? undefined : toTimestamp(record.lastUsedAt),
    UsageCount: BigInt(record.usageCount),
    Description: record.description,
    RecordType: record.recordType,
    Shared: record.shared,
    Parents: [...record.parents],
  };
}

/** A size or duration of a client: not negative, and a number that is exact. */
function bytes(value: bigint, name: string): number {
  if (value < 0n || value > BigInt(Number.MAX_SAFE_INTEGER)) throw invalidArgument(`invalid ${name} ${value}`);
  return Number(value);
}

function pruneOptions(request: PruneRequest): PruneOptions {
  return {
    filter: request.filter,
    all: request.all,
    keepDurationNs: request.keepDuration,
    reservedSpace: bytes(request.reservedSpace, 'reserved space'),
    maxUsedSpace: bytes(request.maxUsedSpace, 'maximum used space'),
    minFreeSpace: bytes(request.minFreeSpace, 'minimum free space'),
  };
}

function version(): BuildkitVersion {
  return {
    package: VERSION.package,
    version: VERSION.version,
    revision: VERSION.revision,
    dockerfileVersion: VERSION.dockerfile,
  };
}

function deviceToWire({ name, autoAllow, annotations }: ReturnType<DeviceList['list']>[number]): CDIDevice {
  return { Name: name, AutoAllow: autoAllow, Annotations: new Map(annotations), OnDemand: false };
}

function policyToWire(policy: PruneOptions): GCPolicy {
  return {
    all: policy.all ?? false,
    keepDuration: policy.keepDurationNs ?? 0n,
    filters: [...(policy.filter ?? [])],
    reservedSpace: BigInt(policy.reservedSpace ?? 0),
    maxUsedSpace: BigInt(policy.maxUsedSpace ?? 0),
    minFreeSpace: BigInt(policy.minFreeSpace ?? 0),
  };
}

export function controlHandlers(deps: ControlDeps): Handlers<typeof Control> {
  const { history, solver, worker, accessor } = deps;
  return {
    async info() {
      return { buildkitVersion: version() };
    },

    async listWorkers(request) {
      const matches = parseFilters(request.filter);
      const fields = (path: readonly string[]): string | undefined => {
        if (path[0] === 'id') return worker.id;
        return path[0] === 'labels' ? worker.labels.get(path.slice(1).join('.')) : undefined;
      };
      if (!matches(fields)) return { record: [] };
      await deps.devices?.refresh();
      const record: WorkerRecord = {
        ID: worker.id,
        Labels: new Map(worker.labels),
        platforms: worker.platforms().map(platformToWire),
        GCPolicy: worker.gcPolicy.map(policyToWire),
        BuildkitVersion: version(),
        CDIDevices: (deps.devices?.list() ?? []).map(deviceToWire),
      };
      return { record: [record] };
    },

    async diskUsage(request) {
      const ageLimitNs = request.ageLimit > 0n ? request.ageLimit : undefined;
      const records = await accessor.diskUsage({ filter: request.filter, ageLimitNs });
      return { record: records.map(usageToWire) };
    },

    async prune(request, out) {
      let sending: Promise<void> = Promise.resolve();
      let failed: unknown;
      const onRecord = (record: DiskUsageRecord): void => {
        const message = { ...usageToWire(record), RecordType: '', Shared: false };
        sending = sending.then(() => out.write(message)).catch((error: unknown) => void (failed ??= error));
      };
      await deps.withRoom(() => accessor.prune([pruneOptions(request)], onRecord));
      await sending;
      if (failed !== undefined) throw failed;
      await deps.releaseUnreferenced();
    },

    async solve(request, call) {
      const ended = deps.onBuild();
      let wentWell = false;
      try {
        const traceParent = parseTraceParent(call.metadata.get('traceparent')?.[0]);
        const ExporterResponse = await deps.builds.solve(request, call.signal, traceParent);
        wentWell = true;
        return { ExporterResponse };
      } catch (error) {
        if (request.Session !== '') await deps.sessions.settle(request.Session, call.signal);
        throw error;
      } finally {
        solver.noJob(request.Ref);
        ended(wentWell);
      }
    },

    async status(request, out, call) {
      sendTimestamp(call);
      let job: Awaited<ReturnType<typeof solver.waitFor>> | undefined = solver.find(request.Ref);
      const stored = job === undefined ? await history.statusOf(request.Ref) : undefined;
      if (stored !== undefined) {
        for await (const message of stored) await out.write(message);
        return;
      }
      try {
        job ??= await solver.waitFor(request.Ref, JOB_WAIT_MS, call.signal);
      } catch (error) {
        if (isNotFound(error)) throw new BuildError(Code.NotFound, `no such job ${request.Ref}`);
        throw error;
      }
      // The refusal is Solve's to tell: an error of this call might reach the client first.
      if (job === undefined) return;
      for await (const batch of job.status(call.signal)) {
        for (const message of statusToWire(batch)) await out.write(message);
      }
    },

    async session(input, out, call) {
      await deps.sessions.handle(call.metadata, linkFromServerCall(input, out, call.signal));
    },

    async listenBuildHistory(request, out, call) {
      sendTimestamp(call);
      for await (const event of history.listen(request, call.signal)) await out.write(event);
    },

    async updateBuildHistory(request) {
      await history.update(request);
      return {};
    },
  };
}
