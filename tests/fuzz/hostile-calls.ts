/** Calls that no client should make, on every method of the daemon's sockets: random bytes, mutated messages, hostile values. */
import { createChannel, dial, rawMethod } from '../../src/rpc/index.ts';
import type { Channel, MethodDefinition, ServiceDefinition } from '../../src/rpc/index.ts';
import { Code, toBuildError } from '../../src/base/index.ts';
import { ContentDefinition, InfoRequest, ListContentRequest } from '../../src/proto/content.pb.ts';
import {
  BuildHistoryRequest,
  ControlDefinition,
  DiskUsageRequest,
  ListWorkersRequest,
  PruneRequest,
  SolveRequest,
  StatusRequest,
  UpdateBuildHistoryRequest,
} from '../../src/proto/control.pb.ts';
import {
  EvaluateRequest,
  ExecMessage,
  LLBBridgeDefinition,
  NewContainerRequest,
  ReadDirRequest,
  ReadFileRequest,
  ReleaseContainerRequest,
  ResolveImageConfigRequest,
  ResolveSourceMetaRequest,
  ReturnRequest,
  SolveRequest as GatewaySolveRequest,
  StatFileRequest,
  WarnRequest,
} from '../../src/proto/gateway.pb.ts';
import { HealthDefinition } from '../../src/proto/health.pb.ts';
import type { MountType, NetMode } from '../../src/proto/ops.pb.ts';
import type { MatchType, PolicyAction } from '../../src/proto/policy.pb.ts';
import { TraceServiceDefinition } from '../../src/proto/trace.pb.ts';
import type { Result } from '../../src/proto/gateway.pb.ts';
import { hostileDefinition } from './hostile-graphs.ts';
import { solveWithNonsense } from './hostile-session.ts';
import type { Random } from './random.ts';

const CALL_MS = 2000;
const SESSION_MS = 1500;

/** How calls ended, by the name of the code; `OK` among them. */
export type Tally = Map<string, number>;

const nameOf = (code: number): string => Object.entries(Code).find(([, value]) => value === code)?.[0] ?? String(code);

interface Door {
  readonly service: ServiceDefinition;
  readonly method: MethodDefinition<any, any>;
  /** A message that is nearly right; `refs` are builds and results that others may have made. */
  readonly message: (r: Random, refs: Refs) => Uint8Array;
}

/** Ids that are worth asking for. */
interface Refs {
  readonly build: string;
  readonly result: string;
}

const attributes = (r: Random): Map<string, string> => {
  const keys = [
    'name',
    'push',
    'compression',
    'dest',
    'source',
    'filename',
    'target',
    'platform',
    'no-cache',
    'build-arg:A',
    'cmdline',
    'context:x',
    'ref',
    'mode',
    'src',
    'contextkey',
    'attest:sbom',
  ];
  return new Map(r.some(4, () => [r.pick([...keys, r.text()]), r.text()] as const));
};

function solveRequest(r: Random, refs: Refs): Uint8Array {
  return SolveRequest.encode(
    SolveRequest.fromPartial({
      Ref: r.chance(0.9) ? refs.build : r.text(),
      Session: r.chance(0.1) ? r.text() : '',
      Frontend: r.chance(0.75) ? '' : r.pick(['dockerfile.v0', 'gateway.v0', r.text()]),
      FrontendAttrs: r.chance(0.5) ? new Map() : attributes(r),
      ...(r.chance(0.85) ? { Definition: hostileDefinition(r) } : {}),
      FrontendInputs: new Map(r.some(r.chance(0.1) ? 2 : 0, () => [r.text(), hostileDefinition(r)] as const)),
      Exporters: r.some(r.chance(0.3) ? 2 : 0, () => ({
        Type: r.pick(['oci', 'image', 'local', 'tar', 'docker', r.text()]),
        Attrs: attributes(r),
      })),
      Entitlements: r.some(r.chance(0.1) ? 1 : 0, () => r.text()),
      CompatibilityVersion: r.chance(0.9) ? 0n : r.number(),
      ...(r.chance(0.1)
        ? {
            Cache: {
              Exports: [{ Type: r.pick(['inline', 'local', 'registry', r.text()]), Attrs: attributes(r) }],
              Imports: [{ Type: r.pick(['local', 'registry', r.text()]), Attrs: attributes(r) }],
            },
          }
        : {}),
      ...(r.chance(0.1)
        ? {
            SourcePolicy: {
              version: 1n,
              rules: [
                {
                  action: r.below(4) as PolicyAction,
                  selector: { identifier: r.text(), matchType: r.below(4) as MatchType },
                  updates: { identifier: r.text(), attrs: new Map() },
                },
              ],
            },
          }
        : {}),
    }),
  ).finish();
}

function gatewaySolve(r: Random): Uint8Array {
  return GatewaySolveRequest.encode(
    GatewaySolveRequest.fromPartial({
      Frontend: r.chance(0.8) ? '' : r.pick(['dockerfile.v0', r.text()]),
      ...(r.chance(0.9) ? { Definition: hostileDefinition(r) } : {}),
      FrontendOpt: attributes(r),
      allowResultReturn: r.chance(0.9),
      allowResultArrayRef: r.chance(0.8),
      Evaluate: r.chance(0.5),
      CacheImports: r.some(r.chance(0.1) ? 1 : 0, () => ({ Type: 'registry', Attrs: attributes(r) })),
    }),
  ).finish();
}

function execMessage(r: Random): ExecMessage {
  const meta = { args: [r.text()], cwd: '/' };
  const init = { ContainerID: r.pick(['c1', r.text()]), Meta: meta, Fds: [r.below(9)] };
  return r.pick([
    () => ExecMessage.fromPartial({ ProcessID: r.text(), Input: { $case: 'Init', value: init } }),
    () => ExecMessage.fromPartial({ Input: { $case: 'File', value: { Fd: r.below(9), Data: r.bytes(20) } } }),
    () => ExecMessage.fromPartial({ Input: { $case: 'Signal', value: { Name: r.text() } } }),
    () => ExecMessage.fromPartial({ Input: { $case: 'Resize', value: { Cols: 0, Rows: 0 } } }),
    () => ExecMessage.fromPartial({ ProcessID: r.text() }),
  ])();
}

function returned(r: Random, id: string): ReturnRequest {
  const error = { code: r.below(30), message: r.text(), details: [] };
  const result = r.pick<Result['result']>([
    undefined,
    { $case: 'ref', value: { id, def: undefined } },
    { $case: 'ref', value: { id: r.text(), def: undefined } },
    { $case: 'refs', value: { refs: new Map([[r.text(), { id, def: undefined }]]) } },
  ]);
  const metadata = new Map(r.some(2, () => [r.text(), r.bytes(20)] as const));
  return {
    error: r.chance(0.3) ? error : undefined,
    result: r.chance(0.7) ? { result, metadata, attestations: new Map() } : undefined,
  };
}

const control = ControlDefinition.methods;
const gateway = LLBBridgeDefinition.methods;
const bytesOf = (r: Random): Uint8Array => r.bytes(60);

function doors(): Door[] {
  const of = (service: ServiceDefinition, method: MethodDefinition<any, any>, message: Door['message']): Door => ({
    service,
    method,
    message,
  });
  const onControl = (method: MethodDefinition<any, any>, message: Door['message']): Door =>
    of(ControlDefinition, method, message);
  const onGateway = (method: MethodDefinition<any, any>, message: Door['message']): Door =>
    of(LLBBridgeDefinition, method, message);
  const filters = (r: Random): string[] =>
    r.some(2, () => r.pick([`id~=${r.text()}`, `description~="(a+)+$"`, 'type==regular', r.text()]));
  const path = (r: Random): string => r.pick(['/f', '/', r.text()]);
  return [
    ...Array.from({ length: 12 }, () => onControl(control.solve, solveRequest)),
    onControl(control.status, (_r, { build }) =>
      StatusRequest.encode(StatusRequest.fromPartial({ Ref: build })).finish(),
    ),
    onControl(control.diskUsage, (r) =>
      DiskUsageRequest.encode(DiskUsageRequest.fromPartial({ filter: filters(r), ageLimit: r.number() })).finish(),
    ),
    onControl(control.prune, (r) =>
      PruneRequest.encode(
        PruneRequest.fromPartial({
          filter: filters(r),
          all: r.chance(0.5),
          keepDuration: r.number(),
          reservedSpace: r.number(),
          maxUsedSpace: r.number(),
        }),
      ).finish(),
    ),
    onControl(control.listWorkers, (r) =>
      ListWorkersRequest.encode(ListWorkersRequest.fromPartial({ filter: filters(r) })).finish(),
    ),
    onControl(control.listenBuildHistory, (r, { build }) =>
      BuildHistoryRequest.encode(
        BuildHistoryRequest.fromPartial({
          Ref: r.pick([build, '', r.text()]),
          EarlyExit: true,
          Filter: filters(r),
          Limit: r.below(9) - 4,
        }),
      ).finish(),
    ),
    onControl(control.updateBuildHistory, (r, { build }) =>
      UpdateBuildHistoryRequest.encode(
        UpdateBuildHistoryRequest.fromPartial({
          Ref: r.pick([build, r.text()]),
          Delete: r.chance(0.5),
          Pinned: r.chance(0.5),
          Finalize: r.chance(0.3),
        }),
      ).finish(),
    ),
    onControl(control.session, bytesOf),
    onControl(control.info, bytesOf),
    ...Array.from({ length: 4 }, () => onGateway(gateway.solve, gatewaySolve)),
    onGateway(gateway.readFile, (r, { result }) =>
      ReadFileRequest.encode(
        ReadFileRequest.fromPartial({
          Ref: result,
          FilePath: path(r),
          ...(r.chance(0.5) ? { Range: { Offset: r.number(), Length: r.number() } } : {}),
        }),
      ).finish(),
    ),
    onGateway(gateway.readDir, (r, { result }) =>
      ReadDirRequest.encode(
        ReadDirRequest.fromPartial({ Ref: result, DirPath: path(r), IncludePattern: r.text() }),
      ).finish(),
    ),
    onGateway(gateway.statFile, (r, { result }) =>
      StatFileRequest.encode(StatFileRequest.fromPartial({ Ref: result, Path: path(r) })).finish(),
    ),
    onGateway(gateway.evaluate, (_r, { result }) =>
      EvaluateRequest.encode(EvaluateRequest.fromPartial({ Ref: result })).finish(),
    ),
    onGateway(gateway.ping, bytesOf),
    onGateway(gateway.inputs, bytesOf),
    onGateway(gateway.warn, (r) =>
      WarnRequest.encode(
        WarnRequest.fromPartial({
          digest: r.text(),
          level: r.number(),
          short: r.bytes(20),
          detail: [r.bytes(20)],
          url: r.text(),
          ranges: [{ start: { line: r.below(9), character: 1 } }],
        }),
      ).finish(),
    ),
    onGateway(gateway.return, (r, { result }) => ReturnRequest.encode(returned(r, result)).finish()),
    onGateway(gateway.resolveImageConfig, (r) =>
      ResolveImageConfigRequest.encode(
        ResolveImageConfigRequest.fromPartial({ Ref: r.pick(['127.0.0.1:1/x', r.text()]), ResolveMode: r.text() }),
      ).finish(),
    ),
    onGateway(gateway.resolveSourceMeta, (r) =>
      ResolveSourceMetaRequest.encode(
        ResolveSourceMetaRequest.fromPartial(
          r.chance(0.8)
            ? {
                Source: {
                  identifier: r.pick(['local://x', 'docker-image://127.0.0.1:1/x', r.text()]),
                  attrs: attributes(r),
                },
              }
            : {},
        ),
      ).finish(),
    ),
    onGateway(gateway.newContainer, (r, { result }) =>
      NewContainerRequest.encode(
        NewContainerRequest.fromPartial({
          ContainerID: r.pick(['c1', r.text()]),
          Mounts: r.some(2, () => ({
            dest: r.pick(['/', r.text()]),
            mountType: r.below(6) as MountType,
            resultID: r.pick(['', result, r.text()]),
            input: r.number(),
          })),
          Network: r.below(5) as NetMode,
        }),
      ).finish(),
    ),
    onGateway(gateway.releaseContainer, (r) =>
      ReleaseContainerRequest.encode(
        ReleaseContainerRequest.fromPartial({ ContainerID: r.pick(['c1', r.text()]) }),
      ).finish(),
    ),
    onGateway(gateway.execProcess, (r) => ExecMessage.encode(execMessage(r)).finish()),
    ...Object.values(ContentDefinition.methods).map((method) =>
      of(ContentDefinition, method, (r) =>
        r.pick([
          InfoRequest.encode({ digest: r.text() }).finish(),
          ListContentRequest.encode({ filters: filters(r) }).finish(),
          r.bytes(60),
        ]),
      ),
    ),
    ...Object.values(TraceServiceDefinition.methods).map((method) => of(TraceServiceDefinition, method, bytesOf)),
    ...Object.values(HealthDefinition.methods).map((method) => of(HealthDefinition, method, bytesOf)),
  ];
}

const DOORS = doors();

export class Attacker {
  readonly #address: string;
  readonly #random: Random;
  readonly tally: Tally = new Map();
  /** Refusals that say of no cause: code and text, each once. */
  readonly untyped = new Set<string>();
  #channel: Promise<Channel> | undefined;
  #builds = 0;

  readonly #registry: string;

  /** `registry`: the host of one that asks for credentials. */
  constructor(address: string, registry: string, random: Random) {
    this.#address = address;
    this.#registry = registry;
    this.#random = random;
  }

  /** One connection, also for calls at the same time. */
  #connect(): Promise<Channel> {
    this.#channel ??= dial(this.#address).then((socket) => createChannel(socket));
    return this.#channel;
  }

  async close(): Promise<void> {
    const channel = this.#channel;
    this.#channel = undefined;
    await (await channel)?.close();
  }

  /** One attack of some kind. Fails only where the daemon does not listen any more. */
  async attack(): Promise<void> {
    const r = this.#random;
    const kind = r.next();
    if (kind < 0.03) await this.#nonsense();
    else if (kind < 0.18) await this.#sessionBuild();
    else if (kind < 0.33) await this.#gatewayBuild();
    else await this.#call(r.pick(DOORS), { build: `fuzz${this.#builds++}`, result: 'none' });
  }

  /** Bytes that are no HTTP/2, or break off. */
  async #nonsense(): Promise<void> {
    const r = this.#random;
    const socket = await dial(this.#address);
    const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
    const settings = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);
    socket.on('error', () => {});
    socket.resume();
    const closed = new Promise<void>((resolve) => void socket.once('close', () => resolve()));
    socket.write(
      r.pick([
        r.bytes(200),
        preface,
        Buffer.concat([preface, settings, r.bytes(300)]),
        Buffer.concat([preface, r.mutate(settings)]),
      ]),
    );
    socket.end();
    setTimeout(() => socket.destroy(), 200).unref();
    await closed;
    this.#count('broken off');
  }

  /** A client that is the frontend itself, and asks for things in any order. */
  async #gatewayBuild(): Promise<void> {
    const r = this.#random;
    const build = `fuzz${this.#builds++}`;
    const asked = DOORS.filter(({ service }) => service === LLBBridgeDefinition);
    const message = (): Uint8Array => SolveRequest.encode(SolveRequest.fromPartial({ Ref: build })).finish();
    const solve = this.#call(
      { service: ControlDefinition, method: control.solve, message },
      { build, result: 'none' },
      true,
    );
    let result = 'none';
    for (let i = r.below(8); i > 0; i--) {
      const answer = await this.#call(r.pick(asked), { build, result });
      const id = /[a-z0-9]{25}/.exec(answer?.toString('latin1') ?? '')?.[0];
      result = id ?? result;
    }
    await solve;
  }

  /** A client that is asked for files, secrets and credentials, and gives nonsense. */
  async #sessionBuild(): Promise<void> {
    try {
      await solveWithNonsense(await this.#connect(), this.#random, this.#registry, SESSION_MS);
      this.#count('OK');
    } catch (thrown) {
      await this.#note('Session', thrown);
    }
  }

  async #note(method: string, thrown: unknown): Promise<void> {
    const error = toBuildError(thrown);
    this.#count(nameOf(error.code));
    if (error.code === Code.Unknown || error.code === Code.Internal)
      this.untyped.add(`${method}: ${nameOf(error.code)}: ${error.message.slice(0, 200)}`);
    if (error.code === Code.Unavailable && error.message.includes('connection')) await this.close();
  }

  #count(what: string): void {
    this.tally.set(what, (this.tally.get(what) ?? 0) + 1);
  }

  async #call(door: Door, refs: Refs, asItIs = false): Promise<Buffer | undefined> {
    const r = this.#random;
    const right = door.message(r, refs);
    const how = asItIs ? 1 : r.next();
    const bytes = how < 0.05 ? r.bytes(100) : how < 0.2 ? r.mutate(right) : right;
    const forGateway = door.service === LLBBridgeDefinition;
    try {
      const channel = await this.#connect();
      const call = channel.stream(door.service, rawMethod(door.method), {
        timeoutMs: r.chance(0.05) ? r.below(50) : CALL_MS,
        metadata: forGateway
          ? [['buildkit-controlapi-buildid', refs.build]]
          : r.chance(0.5)
            ? [['x-docker-expose-session-uuid', r.chance(0.5) ? refs.build : 'none']]
            : [],
      });
      await call.write(bytes);
      if (r.chance(0.9)) call.end();
      let last: Uint8Array | undefined;
      for (let i = 0; i < 200; i++) {
        const answer = await call.read();
        if (answer === undefined) break;
        last = answer;
      }
      call.cancel();
      this.#count('OK');
      return last === undefined ? undefined : Buffer.from(last);
    } catch (thrown) {
      await this.#note(door.method.name, thrown);
      return undefined;
    }
  }
}
