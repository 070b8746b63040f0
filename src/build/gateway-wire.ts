/** Gateway values to and from their messages (frontend/gateway/pb upstream). */
import { invalidArgument, timeToMs } from '../base/index.ts';
import type { ResolveSourceOptions } from '../frontends/types.ts';
import type { ApiCap, AttestationChain, ResultAttestation, SourceMeta } from '../llb/index.ts';
import type { Platform } from '../oci/index.ts';
import type { APICap } from '../proto/caps.pb.ts';
import {
  AttestationKind,
  ChecksumRequest_ChecksumAlgo as ChecksumAlgo,
  InTotoSubjectKind,
} from '../proto/gateway.pb.ts';
import type {
  Attestation,
  AttestationChain as PbAttestationChain,
  Blob,
  ChecksumRequest,
  ResolveSourceImageRequest,
  ResolveSourceMetaRequest,
  ResolveSourceMetaResponse,
} from '../proto/gateway.pb.ts';
import type { Definition, Platform as PbPlatform } from '../proto/ops.pb.ts';
import type { WorkerRecord } from '../proto/worker.pb.ts';
import type { WorkerInfo } from './environment.ts';

export function platformToWire(p: Platform): PbPlatform {
  return {
    OS: p.os,
    Architecture: p.architecture,
    Variant: p.variant ?? '',
    OSVersion: p.osVersion ?? '',
    OSFeatures: [...(p.osFeatures ?? [])],
  };
}

export function platformFromWire(p: PbPlatform | undefined): Platform | undefined {
  if (p === undefined || (p.OS === '' && p.Architecture === '')) return undefined;
  return {
    os: p.OS,
    architecture: p.Architecture,
    variant: p.Variant || undefined,
    osVersion: p.OSVersion || undefined,
    osFeatures: p.OSFeatures.length > 0 ? p.OSFeatures : undefined,
  };
}

export function capToWire(cap: ApiCap): APICap {
  return {
    ID: cap.id,
    Enabled: cap.enabled,
    Deprecated: cap.deprecated ?? false,
    DisabledReason: '',
    DisabledReasonMsg: '',
    DisabledAlternative: '',
  };
}

export function workerToWire(worker: WorkerInfo): WorkerRecord {
  return {
    ID: worker.id,
    Labels: new Map(worker.labels),
    platforms: worker.platforms().map(platformToWire),
    GCPolicy: [],
    BuildkitVersion: undefined,
    CDIDevices: [],
  };
}

export function attestationToWire<T>(
  a: ResultAttestation<T>,
  ref: { id: string; def: Definition | undefined } | undefined,
): Attestation {
  return {
    kind: a.kind === 'bundle' ? AttestationKind.Bundle : AttestationKind.InToto,
    metadata: new Map(a.metadata),
    ref,
    path: a.path,
    inTotoPredicateType: a.predicateType ?? '',
    inTotoSubjects: (a.subjects ?? []).map((s) => ({
      kind: s.kind === 'raw' ? InTotoSubjectKind.Raw : InTotoSubjectKind.Self,
      name: s.name,
      digest: [...s.digest],
    })),
  };
}

export function attestationFromWire<T>(a: Attestation, ref: T | undefined): ResultAttestation<T> {
  if (a.kind !== AttestationKind.Bundle && a.kind !== AttestationKind.InToto) {
    throw invalidArgument(`unknown attestation kind ${a.kind}`);
  }
  return {
    kind: a.kind === AttestationKind.Bundle ? 'bundle' : 'in-toto',
    metadata: a.metadata,
    ref,
    path: a.path,
    predicateType: a.inTotoPredicateType === '' ? undefined : a.inTotoPredicateType,
    subjects: a.inTotoSubjects.map((s) => {
      if (s.kind !== InTotoSubjectKind.Self && s.kind !== InTotoSubjectKind.Raw) {
        throw invalidArgument(`unknown attestation subject kind ${s.kind}`);
      }
      return { kind: s.kind === InTotoSubjectKind.Raw ? 'raw' : 'self', name: s.name, digest: s.digest };
    }),
  };
}

const CHECKSUM_ALGORITHMS = new Map([
  [ChecksumAlgo.CHECKSUM_ALGO_SHA256, 'sha256'],
  [ChecksumAlgo.CHECKSUM_ALGO_SHA384, 'sha384'],
  [ChecksumAlgo.CHECKSUM_ALGO_SHA512, 'sha512'],
] as const);

/** Throws InvalidArgument for an algorithm that nobody has. */
export function checksumRequestFromWire(request: ChecksumRequest | undefined): ResolveSourceOptions['httpChecksum'] {
  if (request === undefined) return undefined;
  const algorithm = CHECKSUM_ALGORITHMS.get(request.Algo as typeof ChecksumAlgo.CHECKSUM_ALGO_SHA256);
  if (algorithm === undefined) throw invalidArgument(`unsupported checksum algorithm ${request.Algo}`);
  return { algorithm, suffix: request.Suffix };
}

function chainToWire(chain: AttestationChain): PbAttestationChain {
  const blobs = [...chain.blobs].map(([digest, { descriptor, bytes }]): [string, Blob] => {
    const { mediaType, size, annotations = {} } = descriptor;
    const wire = { mediaType, size: BigInt(size), digest, annotations: new Map(Object.entries(annotations)) };
    return [digest, { descriptor: wire, data: bytes }];
  });
  return {
    Root: chain.root,
    ImageManifest: chain.imageManifest ?? '',
    AttestationManifest: chain.attestationManifest ?? '',
    SignatureManifests: [...chain.signatureManifests],
    Blobs: new Map(blobs),
  };
}

export function sourceMetaToWire(meta: SourceMeta): ResolveSourceMetaResponse {
  return {
    Source: { identifier: meta.identifier, attrs: new Map(meta.attrs) },
    Image: meta.image && {
      Digest: meta.image.digest,
      Config: meta.image.config ?? new Uint8Array(),
      AttestationChain: meta.image.attestations && chainToWire(meta.image.attestations),
    },
    Git: meta.git && {
      Checksum: meta.git.checksum,
      Ref: meta.git.ref,
      CommitChecksum: meta.git.commitChecksum,
      CommitObject: meta.git.commitObject ?? new Uint8Array(),
      TagObject: meta.git.tagObject ?? new Uint8Array(),
    },
    HTTP: meta.http && {
      Checksum: meta.http.checksum,
      Filename: meta.http.filename,
      LastModified:
        meta.http.lastModified === undefined
          ? undefined
          : { seconds: BigInt(Math.floor(timeToMs(meta.http.lastModified) / 1000)), nanos: 0 },
      ChecksumResponse: meta.http.checksumResponse && {
        Digest: meta.http.checksumResponse.digest,
        Suffix: meta.http.checksumResponse.suffix,
      },
    },
  };
}

export function resolveModeFromWire(text: string): 'default' | 'pull' | 'local' {
  if (text === '' || text === 'default') return 'default';
  if (text === 'pull' || text === 'local') return text;
  throw invalidArgument(`invalid resolvemode: ${text}`);
}

/** Who asks for statements asks for what leads to them. */
function attestationsFromWire(image: ResolveSourceImageRequest | undefined): ResolveSourceOptions['attestations'] {
  if (image === undefined || (!image.AttestationChain && image.ResolveAttestations.length === 0)) return undefined;
  return { predicateTypes: image.ResolveAttestations.filter((type) => type !== '') };
}

/** Throws InvalidArgument. */
export function metaOptionsFromWire(request: ResolveSourceMetaRequest): ResolveSourceOptions {
  return {
    platform: platformFromWire(request.Platform),
    resolveMode: resolveModeFromWire(request.ResolveMode),
    logName: request.LogName,
    sourcePolicies: request.SourcePolicies,
    noConfig: request.Image?.NoConfig,
    attestations: attestationsFromWire(request.Image),
    gitObjects: request.Git?.ReturnObject,
    httpChecksum: checksumRequestFromWire(request.HTTP?.ChecksumRequest),
  };
}
