/** Provenance of a build's results: as attestations that a client asked for, and for the history. */
import { BuildError, Code, jsonDetail, nowNs, randomId, VERSION } from '../../base/index.ts';
import type { TimeNs } from '../../base/index.ts';
import { encodePredicate, predicateType } from '../../attest/index.ts';
import type { BuildDetails, Capture, ProvenanceOptions, UncapturedRequest } from '../../attest/index.ts';
import { readSystemUsage, Sampler } from '../../executor/index.ts';
import type { Sampling, SystemSample } from '../../executor/index.ts';
import { platformsOf, refOfPlatform } from '../../exporters/index.ts';
import type { BuildResult, ResultAttestation } from '../../llb/index.ts';
import type { GoJsonValue } from '../../oci/index.ts';
import type { StorageContext } from '../../storage/types.ts';
import type { LazyRef } from '../lazy-ref.ts';
import { describeBuild } from './build-steps.ts';
import { readGitUrl } from './read-git-url.ts';
import type { ResultCaptures } from './result-captures.ts';
import { layersBelow, layersJson } from './step-layers.ts';

type LazyResult = BuildResult<LazyRef | undefined>;

const MAX_SAMPLES = 20;

/** What all provenance of one build has in common. */
export interface Invocation {
  readonly id: string;
  readonly started: TimeNs;
  readonly compatibilityVersion: number;
  readonly customEnv: ReadonlyMap<string, unknown>;
  /** Of the machine, since the build began. */
  readonly usage: Sampling<SystemSample>;
  /** When the first provenance was written; the same from then on. */
  finished(): TimeNs;
}

export function beginInvocation(compatibilityVersion: number, customEnv: ReadonlyMap<string, unknown>): Invocation {
  let finished: TimeNs | undefined;
  return {
    id: randomId(),
    started: nowNs(),
    compatibilityVersion,
    customEnv,
    usage: new Sampler(readSystemUsage, MAX_SAMPLES),
    finished: () => (finished ??= nowNs()),
  };
}

function requestText({ op, name, method, uri, reason }: UncapturedRequest): string {
  const lines = [`\n  - ${name || op || uri}`];
  if (method !== '') lines.push(`method: ${method}`);
  if (uri !== '') lines.push(`url: ${uri}`);
  return [...lines, `reason: ${reason}`].join('\n    ');
}

/** Nobody can get a client's directory again, nor what came from where nobody can tell. */
function incompleteError(capture: Capture): BuildError {
  const parts = [
    'provenance materials are incomplete',
    'The build requested complete provenance materials, but not all dependencies could be captured.',
  ];
  const names = capture.local.map(({ name }) => name);
  if (names.length > 0) {
    const lines = names.map((name) => `\n  - ${name === '' ? '<unnamed>' : name}\n    reason: local_source`);
    parts.push(`Uncaptured local sources:${lines.join('')}`);
  }
  if (capture.uncaptured.length > 0) {
    parts.push(`Uncaptured requests:${capture.uncaptured.map(requestText).join('')}`);
  }
  const requests = capture.uncaptured.map((request) =>
    Object.fromEntries(Object.entries(request).filter(([, value]) => value !== '')),
  );
  const incomplete = [...names.map((name) => ({ name: name || undefined, reason: 'local_source' })), ...requests];
  return new BuildError(Code.Unknown, parts.join('\n\n'), {
    details: [jsonDetail('errdefs.ProvenanceMaterialsIncomplete', { incomplete })],
  });
}

type PredicateOptions = Pick<ProvenanceOptions, 'version' | 'mode' | 'builderId' | 'reproducible' | 'captureUsage'>;

export class ProvenanceMaker {
  readonly #invocation: Invocation;

  constructor(invocation: Invocation) {
    this.#invocation = invocation;
  }

  /** The predicate of one ref, as indented JSON. Layers are told as far as exports have made them. */
  async predicate(
    ref: LazyRef,
    capture: Capture,
    options: PredicateOptions,
    context: StorageContext,
  ): Promise<Uint8Array> {
    const encode = await this.prepare(ref, capture, options, context);
    return encode();
  }

  /** What is to be known of the ref and of the machine is taken now; the predicate can be made when the ref is released. */
  async prepare(
    ref: LazyRef,
    capture: Capture,
    options: PredicateOptions,
    context: StorageContext,
  ): Promise<() => Uint8Array> {
    const { id, started, compatibilityVersion, customEnv } = this.#invocation;
    const finished = this.#invocation.finished();
    const frontend = capture.request?.frontend;
    const details = options.mode === 'min' ? undefined : await this.#details(ref, capture, options, context);
    return () =>
      Buffer.from(
        encodePredicate(options.version, {
          capture,
          builderId: options.builderId,
          reproducible: options.reproducible,
          invocationId: id,
          started,
          finished,
          compatibilityVersion,
          details: details?.(),
          dockerfileVersion: frontend === 'dockerfile.v0' ? VERSION.dockerfile : undefined,
          customEnv,
          readGitUrl,
        }),
      );
  }

  /** The result with what a client wants to have attested for each of its platforms. */
  attest(
    result: LazyResult,
    captures: ResultCaptures,
    options: ProvenanceOptions,
    context: StorageContext,
  ): LazyResult {
    const attestations = new Map(result.attestations);
    for (const { id } of platformsOf(result)) {
      const capture = refOfPlatform(captures, id);
      const ref = refOfPlatform(result, id);
      if (capture === undefined || ref === undefined) continue;
      if (options.completeMaterials && (capture.incomplete || capture.local.length > 0)) throw incompleteError(capture);
      const attestation: ResultAttestation<LazyRef | undefined> = {
        kind: 'in-toto',
        metadata: new Map([
          ['reason', Buffer.from('provenance')],
          ['inline-only', Buffer.from(String(options.inlineOnly))],
        ]),
        path: options.filename,
        predicateType: predicateType(options.version),
        content: () => this.predicate(ref, capture, options, context),
      };
      attestations.set(id, [...(attestations.get(id) ?? []), attestation]);
    }
    return { ...result, attestations };
  }

  async #details(
    ref: LazyRef,
    capture: Capture,
    { captureUsage }: PredicateOptions,
    context: StorageContext,
  ): Promise<() => BuildDetails> {
    const { definition } = ref;
    const layers = await layersBelow(await ref.result(context.signal), context);
    const samples = captureUsage ? this.#invocation.usage.stop() : [];
    return () => {
      const { buildConfig, source, numbers } = describeBuild(definition, captureUsage ? capture.usage : undefined);
      return {
        buildConfig,
        source,
        layers: layersJson(layers, numbers),
        sysUsage: samples.length === 0 ? undefined : (samples as unknown as GoJsonValue),
      };
    };
  }

  /** Nothing more is measured. */
  close(): void {
    this.#invocation.usage.stop();
  }
}
