/** What every op may say beside what it does, and what is filled in when a definition is marshalled. */
import { randomId } from '../base/index.ts';
import { defaultPlatform, normalizePlatform } from '../oci/index.ts';
import type { Platform } from '../oci/index.ts';
import type { LinuxResources, Op, OpMetadata, Platform as PbPlatform } from '../proto/ops.pb.ts';
import type { SourceLocation } from './source-map.ts';

/** Options of one op, and of a whole marshalling, where the op's own come last. */
export interface ConstraintOptions {
  readonly platform?: Platform;
  /** Shown instead of the step's own name. */
  readonly customName?: string;
  /** Texts that travel with the step; `llb.customname` is one of them. */
  readonly description?: Readonly<Record<string, string>>;
  readonly ignoreCache?: boolean;
  /** false keeps the step out of cache exports, true forces it in. */
  readonly exportCache?: boolean;
  readonly progressGroup?: { readonly id: string; readonly name: string; readonly weak?: boolean };
  /** Worker label filters. */
  readonly workerConstraints?: readonly string[];
  readonly linuxResources?: Partial<Omit<LinuxResources, '_unknownFields'>>;
  readonly locations?: readonly SourceLocation[];
  /**
   * Of files that begin on nothing: what their layer is for, where that makes another layer of it. A field of Op that LLB
   * otherwise has no use for in steps with files; upstream's daemon does not look at it there.
   */
  readonly filesFor?: Platform;
  /** Makes local sources of one definition different from those of others; random when absent. */
  readonly localUniqueId?: string;
}

export interface MarshalOptions extends ConstraintOptions {
  /** Ids that the daemon has; undefined: not known, then nothing is adapted to it. */
  readonly caps?: ReadonlySet<string>;
}

/** {@link MarshalOptions} with everything filled in: the same for all ops of one definition. */
export interface Constraints {
  readonly platform: Platform;
  readonly localUniqueId: string;
  readonly options: MarshalOptions;
}

export function makeConstraints(options: MarshalOptions): Constraints {
  return {
    platform: options.platform ?? normalizePlatform(defaultPlatform()),
    localUniqueId: options.localUniqueId ?? randomId(),
    options,
  };
}

export function platformToPb(p: Platform): PbPlatform {
  return {
    Architecture: p.architecture,
    OS: p.os,
    Variant: p.variant ?? '',
    OSVersion: p.osVersion ?? '',
    OSFeatures: [...(p.osFeatures ?? [])],
  };
}

export function platformFromPb(p: PbPlatform): Platform {
  return {
    os: p.OS,
    architecture: p.Architecture,
    ...(p.Variant === '' ? {} : { variant: p.Variant }),
    ...(p.OSVersion === '' ? {} : { osVersion: p.OSVersion }),
    ...(p.OSFeatures.length === 0 ? {} : { osFeatures: p.OSFeatures }),
  };
}

function linuxResources(r: ConstraintOptions['linuxResources']): LinuxResources | undefined {
  if (r === undefined) return undefined;
  const none = {
    memory: 0n,
    memorySwap: 0n,
    cpuShares: 0n,
    cpuPeriod: 0n,
    cpuQuota: 0n,
    cpusetCpus: '',
    cpusetMems: '',
  };
  return { ...none, ...r };
}

function metadataOf(options: ConstraintOptions): OpMetadata {
  const { progressGroup: group, exportCache } = options;
  const description = new Map(Object.entries(options.description ?? {}));
  if (options.customName !== undefined) description.set('llb.customname', options.customName);
  return {
    ignoreCache: options.ignoreCache ?? false,
    description,
    exportCache: exportCache === undefined ? undefined : { Value: exportCache },
    caps: new Map(),
    progressGroup: group === undefined ? undefined : { id: group.id, name: group.name, weak: group.weak ?? false },
    linuxResources: linuxResources(options.linuxResources),
  };
}

/** What `over` says wins; caps and descriptions are joined. */
export function mergeMetadata(base: OpMetadata | undefined, over: OpMetadata): OpMetadata {
  if (base === undefined) return over;
  return {
    ignoreCache: base.ignoreCache || over.ignoreCache,
    description: new Map([...base.description, ...over.description]),
    exportCache: over.exportCache ?? base.exportCache,
    caps: new Map([...base.caps, ...[...over.caps.keys()].map((k) => [k, true] as const)]),
    progressGroup: over.progressGroup ?? base.progressGroup,
    linuxResources: over.linuxResources ?? base.linuxResources,
  };
}

/** An op without kind and inputs, and its metadata. `platform`: that of the op, where neither its options nor the definition say. */
export function startOp(
  constraints: Constraints,
  options: ConstraintOptions,
  caps: Iterable<string>,
  platform: Platform | undefined = options.platform,
): { op: Op; metadata: OpMetadata } {
  const own = { ...metadataOf(options), caps: new Map([...caps].map((c) => [c, true] as const)) };
  const filter = [...(constraints.options.workerConstraints ?? []), ...(options.workerConstraints ?? [])];
  return {
    op: {
      inputs: [],
      op: undefined,
      platform: platformToPb(platform ?? constraints.platform),
      constraints: { filter },
    },
    metadata: mergeMetadata(metadataOf(constraints.options), own),
  };
}
