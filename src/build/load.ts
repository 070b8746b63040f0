/**
 * A wire Definition becomes vertices: checked at the door, identifiers in canonical form, digests computed anew from
 * the leaves up (a changed source changes every digest above it), platforms filled in after hashing as upstream does.
 * Every walk is over a list or memoised: the cost is linear in ops and inputs, and other clients' calls are answered meanwhile.
 */
import { BuildError, Code, invalidArgument, Turn, wrapError } from '../base/index.ts';
import { encodeOp, isKnownLlbCap, validateOp, vertexName } from '../llb/index.ts';
import { defaultPlatform, digestOf, normalizePlatform } from '../oci/index.ts';
import type { Platform } from '../oci/index.ts';
import type { LlbOp, SourceSet } from '../ops/index.ts';
import { NetMode, Op, SecurityMode } from '../proto/ops.pb.ts';
import type { Definition, OpMetadata, Platform as PbPlatform } from '../proto/ops.pb.ts';
import type { CacheManager, Edge, Vertex, VertexOptions } from '../solver/index.ts';
import type { DeviceRegistry } from '../executor/index.ts';
import { grantDevices } from './device-grants.ts';
import type { DeviceGrants } from './device-grants.ts';
import type { Entitlement } from './entitlements.ts';
import { authorizeProcess } from './entitlements.ts';
import { mergeLinuxResources } from './linux-resources.ts';

export interface LoadOptions {
  readonly sources: SourceSet;
  readonly entitlements: ReadonlySet<Entitlement>;
  readonly cacheSources?: readonly CacheManager[];
  readonly devices?: DeviceRegistry;
  readonly deviceGrants?: DeviceGrants;
  /** Execs that have a network get it through a proxy. */
  readonly proxyNetwork?: boolean;
  /** May change a source in place (source policies); rejects to deny it. */
  readonly policy?: (op: Op) => Promise<void>;
}

interface Loaded {
  readonly op: Op;
  readonly metadata: OpMetadata | undefined;
}

/** Bounds what one definition may ask of the daemon's memory. */
const MAX_OPS = 200_000;

async function decodeOps(definition: Definition, turn: Turn): Promise<Map<string, Loaded>> {
  const ops = new Map<string, Loaded>();
  for (const bytes of definition.def) {
    if (turn.isSpent) await turn.pass();
    let op: Op;
    try {
      op = Op.decode(bytes);
    } catch (error) {
      throw new BuildError(Code.InvalidArgument, `failed to parse llb proto op: ${(error as Error).message}`, {
        cause: error,
      });
    }
    for (const [i, input] of op.inputs.entries()) {
      if (input.index < 0n) throw invalidArgument(`invalid input ${i} output index ${input.index}`);
      if (input.index > 65_535n) throw invalidArgument(`invalid input ${i} output index ${input.index}`);
    }
    const digest = digestOf(bytes);
    ops.set(digest, { op, metadata: definition.metadata.get(digest) });
  }
  return ops;
}

/** Digests such that every op comes after its inputs, from the ones that `start` reaches. Throws on an input that is not there. */
function topological(ops: ReadonlyMap<string, Loaded>, start: string): string[] {
  const order: string[] = [];
  const state = new Map<string, 'open' | 'done'>();
  const stack: string[] = [start];
  while (stack.length > 0) {
    const digest = stack[stack.length - 1];
    const loaded = ops.get(digest);
    if (loaded === undefined) throw invalidArgument(`invalid missing input digest ${digest}`);
    if (state.get(digest) === undefined) {
      state.set(digest, 'open');
      for (const input of loaded.op.inputs) if (state.get(input.digest) === undefined) stack.push(input.digest);
      continue;
    }
    stack.pop();
    if (state.get(digest) === 'open') {
      state.set(digest, 'done');
      order.push(digest);
    }
  }
  return order;
}

function vertexOptions(metadata: OpMetadata | undefined, isExec: boolean, options: LoadOptions): VertexOptions {
  const group = metadata?.progressGroup;
  const resources = isExec ? metadata?.linuxResources : undefined;
  return {
    ignoreCache: metadata?.ignoreCache,
    exportCache: metadata?.exportCache?.Value,
    description: metadata?.description,
    progressGroup: group === undefined ? undefined : { id: group.id, name: group.name, weak: group.weak },
    cacheSources: options.cacheSources,
    metadata: resources === undefined ? undefined : mergeLinuxResources(resources),
  };
}

function checkCaps(metadata: OpMetadata | undefined): void {
  for (const [cap, wanted] of metadata?.caps ?? []) {
    if (wanted && !isKnownLlbCap(cap)) {
      throw new BuildError(Code.Unimplemented, `unknown API capability ${cap}`);
    }
  }
}

function checkEntitlements(op: Op, granted: ReadonlySet<Entitlement>): void {
  if (op.op?.$case !== 'exec') return;
  const exec = op.op.value;
  authorizeProcess(granted, {
    network: exec.network === NetMode.HOST ? 'host' : 'default',
    security: exec.security === SecurityMode.INSECURE ? 'insecure' : 'sandbox',
  });
}

/** Such a step is another than the one without: its digest says so (upstream: solver/llbsolver/vertex.go). */
const PROXIED = Buffer.from('\0buildkit.proxy-network.v0');

function isProxied({ op }: Op, proxyNetwork: boolean | undefined): boolean {
  if (proxyNetwork !== true || op?.$case !== 'exec' || op.value.network === NetMode.NONE) return false;
  const { network } = op.value;
  if (network === NetMode.UNSET || network === NetMode.HOST) return true;
  throw invalidArgument(`network mode ${String(network)} is not allowed when proxy network is enabled`);
}

function platformOf(op: Op, fallback: Platform): Platform {
  const p: PbPlatform | undefined = op.platform;
  if (p === undefined) return fallback;
  return normalizePlatform({
    os: p.OS,
    architecture: p.Architecture,
    variant: p.Variant || undefined,
    osVersion: p.OSVersion || undefined,
    osFeatures: p.OSFeatures.length > 0 ? p.OSFeatures : undefined,
  });
}

export interface LoadedGraph {
  readonly edge: Edge;
  /** Ids of cache mounts whose step ignores the cache; true where the mount lies on top of a ref. */
  readonly prunedCacheMounts: ReadonlyMap<string, boolean>;
}

/** Throws InvalidArgument, PermissionDenied or what the policy says, with upstream's texts. */
export async function loadDefinition(definition: Definition, options: LoadOptions): Promise<LoadedGraph> {
  if (definition.def.length === 0) throw invalidArgument('invalid empty definition');
  if (definition.def.length > MAX_OPS)
    throw new BuildError(Code.ResourceExhausted, `definition has more than ${MAX_OPS} ops`);
  const turn = new Turn();
  const ops = await decodeOps(definition, turn);
  const last = digestOf(definition.def[definition.def.length - 1]);
  const terminal = ops.get(last) as Loaded;
  if (ops.size < 2) throw invalidArgument(`invalid LLB with ${ops.size} vertexes`);
  if (terminal.op.inputs.length === 0) throw invalidArgument('invalid LLB with no inputs on last vertex');

  const fallback = normalizePlatform(defaultPlatform());
  const order = topological(ops, last);
  const { policy } = options;
  if (policy !== undefined) {
    try {
      await Promise.all(order.map((d) => policy((ops.get(d) as Loaded).op)));
    } catch (error) {
      throw wrapError(error, 'error evaluating the source policy');
    }
  }

  const asksForDevices = order.some((d) => {
    const { op } = (ops.get(d) as Loaded).op;
    return op?.$case === 'exec' && op.value.cdiDevices.length > 0;
  });
  if (asksForDevices) await options.devices?.refresh();
  const vertices = new Map<string, Vertex>();
  const pruned = new Map<string, boolean>();
  for (const digest of order) {
    if (digest === last) break;
    if (turn.isSpent) await turn.pass();
    const { op, metadata } = ops.get(digest) as Loaded;
    validateOp(op);
    checkCaps(metadata);
    checkEntitlements(op, options.entitlements);
    if (op.op?.$case === 'exec') {
      const { cdiDevices } = op.op.value;
      op.op.value.cdiDevices = grantDevices(cdiDevices, options.deviceGrants, options.devices);
    }
    const platform = platformOf(op, fallback);
    if (op.op?.$case === 'source') {
      const source = op.op.value;
      const { source: handler, request } = options.sources.request(source.identifier, source.attrs, platform);
      source.identifier = handler.normalize(request);
    }
    const inputs = op.inputs.map((input) => ({
      vertex: vertices.get(input.digest) as Vertex,
      index: Number(input.index),
    }));
    for (const [i, input] of op.inputs.entries()) input.digest = inputs[i].vertex.digest;
    if (metadata?.ignoreCache) collectCacheMounts(op, pruned);
    const proxied = isProxied(op, options.proxyNetwork);
    const sys: LlbOp = { op, platform, isProxied: proxied };
    const encoded = encodeOp(op);
    vertices.set(digest, {
      digest: digestOf(proxied ? Buffer.concat([encoded, PROXIED]) : encoded),
      name:
        metadata?.description.get('llb.customname') ??
        vertexName(
          op,
          inputs.map((e) => e.vertex.name),
        ),
      inputs,
      sys,
      options: vertexOptions(metadata, op.op?.$case === 'exec', options),
    });
  }
  const result = terminal.op.inputs[0];
  return {
    edge: { vertex: vertices.get(result.digest) as Vertex, index: Number(result.index) },
    prunedCacheMounts: pruned,
  };
}

function collectCacheMounts(op: Op, into: Map<string, boolean>): void {
  if (op.op?.$case !== 'exec') return;
  for (const mount of op.op.value.mounts) {
    if (mount.cacheOpt === undefined) continue;
    into.set(mount.cacheOpt.ID || mount.dest, mount.input !== -1n);
  }
}
