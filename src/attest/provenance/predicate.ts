/**
 * SLSA provenance: https://slsa.dev/spec/v1.1/provenance and https://slsa.dev/provenance/v0.2, with BuildKit's own fields
 * (docs/attestations/slsa-definitions.md upstream). Both versions are written from the same facts.
 */
import { defaultPlatform, formatPlatform, goJson, indentJson, normalizePlatform } from '../../oci/index.ts';
import { formatTime, invalidArgument } from '../../base/index.ts';
import type { TimeNs } from '../../base/index.ts';
import type { GoJsonValue } from '../../oci/index.ts';
import { anyJson } from '../any-json.ts';
import { sortedCredentials } from './capture.ts';
import type { Capture } from './capture.ts';
import type { Credential, UncapturedRequest } from './materials.ts';
import { materialsOf } from './resolved-dependencies.ts';
import type { ResolvedDependency } from './resolved-dependencies.ts';
import { describeRequest } from './request.ts';
import type { ConfigSource, DigestSet, Parameters, ReadGitUrl, RequestFacts } from './request.ts';
import { redactCredentials } from './redact-url.ts';

export type SlsaVersion = 'v1' | 'v0.2';

const BUILD_TYPES: Readonly<Record<SlsaVersion, string>> = {
  v1: 'https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md',
  'v0.2': 'https://mobyproject.org/buildkit@v1',
};

export function predicateType(version: SlsaVersion): string {
  return `https://slsa.dev/provenance/${version}`;
}

/** Throws InvalidArgument. */
export function parseSlsaVersion(text: string): SlsaVersion {
  if (text === '') throw invalidArgument('provenance SLSA version cannot be empty');
  if (text !== 'v1' && text !== 'v0.2') throw invalidArgument(`invalid provenance SLSA version: ${text}`);
  return text;
}

/** What is only told in full (`mode=max`), ready as JSON. */
export interface BuildDetails {
  readonly buildConfig: GoJsonValue;
  readonly source: GoJsonValue | undefined;
  readonly layers: GoJsonValue | undefined;
  /** Samples of the machine during the build. */
  readonly sysUsage: GoJsonValue | undefined;
}

export interface ProvenanceFacts {
  readonly capture: Capture;
  readonly builderId: string;
  readonly reproducible: boolean;
  readonly invocationId: string;
  readonly started: TimeNs;
  readonly finished: TimeNs;
  readonly compatibilityVersion: number;
  /** undefined: what the user passed to the frontend stays untold too. */
  readonly details: BuildDetails | undefined;
  /** Of the daemon's own frontend, where it made the result. */
  readonly dockerfileVersion: string | undefined;
  /** Fields that the daemon's config adds to the description of the machine. */
  readonly customEnv: ReadonlyMap<string, unknown>;
  readonly readGitUrl: ReadGitUrl;
}

interface Told {
  readonly configSource: ConfigSource;
  readonly request: Parameters;
  readonly vcs: ReadonlyMap<string, string>;
  readonly requestComplete: boolean;
}

const isOfUser = (key: string): boolean => key.startsWith('build-arg:') || key.startsWith('label:');

/** Without arguments, labels, secrets and agents; says whether arguments or labels went. */
function scrub(request: Parameters): { request: Parameters; incomplete: boolean } {
  let incomplete = [...request.args.keys()].some(isOfUser);
  const scrubFacts = (facts: RequestFacts): RequestFacts => {
    const inner = scrub(facts.request);
    incomplete ||= inner.incomplete;
    return { ...facts, request: inner.request };
  };
  const { frontend, locals, compatibilityVersion } = request;
  const scrubbed: Parameters = {
    frontend,
    args: new Map([...request.args].filter(([key]) => !isOfUser(key))),
    locals,
    compatibilityVersion,
    inputs: request.inputs && new Map([...request.inputs].map(([name, facts]) => [name, scrubFacts(facts)])),
    root: request.root && scrubFacts(request.root),
  };
  return { request: scrubbed, incomplete };
}

function tell(facts: ProvenanceFacts): Told {
  const { capture } = facts;
  const { frontend = '', args: options = new Map(), inputs, root } = capture.request ?? {};
  const described = describeRequest(frontend, options, capture, facts.readGitUrl);
  const args = new Map([...described.request.args].filter(([key]) => !key.startsWith('vcs:')));
  const vcs = new Map<string, string>();
  for (const [key, value] of described.request.args) {
    if (!key.startsWith('vcs:') || value === '') continue;
    vcs.set(key.slice('vcs:'.length), key === 'vcs:source' ? redactCredentials(value) : value);
  }
  const whole: Parameters = {
    frontend,
    args,
    secrets: sortedCredentials(capture.secrets),
    ssh: sortedCredentials(capture.ssh),
    locals: capture.local.map(({ name }) => ({ name })),
    inputs,
    root,
    compatibilityVersion: facts.compatibilityVersion,
  };
  const { request, incomplete } = facts.details === undefined ? scrub(whole) : { request: whole, incomplete: false };
  return { configSource: described.configSource, request, vcs, requestComplete: frontend !== '' && !incomplete };
}

const some = (text: string | undefined): string | undefined => (text === '' ? undefined : text);
const when = (flag: boolean): true | undefined => flag || undefined;
const filled = <T extends { readonly length: number }>(list: T | undefined): T | undefined =>
  list === undefined || list.length === 0 ? undefined : list;
const digestJson = (digest: DigestSet | undefined): DigestSet | undefined =>
  digest === undefined || digest.size === 0 ? undefined : digest;

function configSourceJson({ uri, digest, path }: ConfigSource, pathKey: 'path' | 'entryPoint'): GoJsonValue {
  return { uri: some(uri), digest: digestJson(digest), [pathKey]: some(path) };
}

function credentialsJson(list: readonly Credential[] | undefined): GoJsonValue | undefined {
  return filled(list?.map(({ id, optional }) => ({ id, optional: when(optional) })));
}

function factsJson({ configSource, request }: RequestFacts): GoJsonValue {
  return { configSource: configSourceJson(configSource, 'path'), request: parametersJson(request) };
}

function parametersJson(request: Parameters): GoJsonValue {
  const { inputs, root } = request;
  return {
    frontend: some(request.frontend),
    args: request.args.size === 0 ? undefined : request.args,
    secrets: credentialsJson(request.secrets),
    ssh: credentialsJson(request.ssh),
    locals: filled(request.locals?.map(({ name }) => ({ name }))),
    inputs:
      inputs === undefined || inputs.size === 0
        ? undefined
        : new Map([...inputs].map(([name, facts]) => [name, factsJson(facts)])),
    root: root && factsJson(root),
    compatibilityVersion: request.compatibilityVersion || undefined,
  };
}

function dependenciesJson(dependencies: readonly ResolvedDependency[]): GoJsonValue | undefined {
  return filled(dependencies.map(({ uri, digest }) => ({ uri: some(uri), digest: digestJson(digest) })));
}

/** What JSON.parse made; a field of the config wins over one of ours. */
function withCustom(own: Readonly<Record<string, GoJsonValue | undefined>>, facts: ProvenanceFacts): GoJsonValue {
  const fields = new Map<string, GoJsonValue | undefined>(Object.entries(own));
  for (const [key, value] of facts.customEnv) fields.set(key, anyJson(value));
  return fields;
}

function networkJson(uncaptured: readonly UncapturedRequest[]): GoJsonValue {
  const incomplete = filled(
    uncaptured.map(({ op, name, method, uri, reason }) => ({
      op: some(op),
      name: some(name),
      method: some(method),
      uri: some(uri),
      reason: some(reason),
    })),
  );
  return { mode: 'proxy', proxy: incomplete && { incomplete } };
}

function buildkitMetadata(facts: ProvenanceFacts, vcs: ReadonlyMap<string, string>): GoJsonValue {
  const { details, capture } = facts;
  return {
    vcs: vcs.size === 0 ? undefined : vcs,
    source: details?.source,
    layers: details?.layers,
    sysUsage: details?.sysUsage,
    network: capture.proxied ? networkJson(capture.uncaptured) : undefined,
  };
}

/** The predicate as indented JSON. Throws when a material has a name that is none. */
export function encodePredicate(version: SlsaVersion, facts: ProvenanceFacts): string {
  const json = version === 'v1' ? predicateV1(facts) : predicateV02(facts);
  return indentJson(goJson(json));
}

function completeness({ capture }: ProvenanceFacts): { materials: boolean; hermetic: boolean } {
  const materials = !capture.incomplete && capture.local.length === 0;
  return { materials, hermetic: materials && !capture.network };
}

const builderPlatform = (): string => formatPlatform(normalizePlatform(defaultPlatform()));

function predicateV1(facts: ProvenanceFacts): GoJsonValue {
  const { configSource, request, vcs, requestComplete } = tell(facts);
  const { materials, hermetic } = completeness(facts);
  return {
    buildDefinition: {
      buildType: BUILD_TYPES.v1,
      resolvedDependencies: dependenciesJson(materialsOf(facts.capture)),
      externalParameters: {
        configSource: configSourceJson(configSource, 'path'),
        request: parametersJson(request),
      },
      internalParameters: withCustom(
        {
          // Upstream reads this field back before it writes it.
          buildConfig: facts.details && anyJson(facts.details.buildConfig),
          builderPlatform: builderPlatform(),
          dockerfileVersion: some(facts.dockerfileVersion),
        },
        facts,
      ),
    },
    runDetails: {
      builder: { id: facts.builderId },
      metadata: {
        invocationId: some(facts.invocationId),
        startedOn: formatTime(facts.started),
        finishedOn: formatTime(facts.finished),
        buildkit_metadata: buildkitMetadata(facts, vcs),
        buildkit_hermetic: when(hermetic),
        buildkit_completeness: { request: requestComplete, resolvedDependencies: materials },
        buildkit_reproducible: when(facts.reproducible),
      },
    },
  };
}

function predicateV02(facts: ProvenanceFacts): GoJsonValue {
  const { configSource, request, vcs, requestComplete } = tell(facts);
  const { materials, hermetic } = completeness(facts);
  return {
    builder: { id: facts.builderId },
    buildType: BUILD_TYPES['v0.2'],
    materials: dependenciesJson(materialsOf(facts.capture)),
    invocation: {
      configSource: configSourceJson(configSource, 'entryPoint'),
      parameters: parametersJson(request),
      environment: withCustom({ platform: builderPlatform(), dockerfileVersion: some(facts.dockerfileVersion) }, facts),
    },
    buildConfig: facts.details?.buildConfig,
    metadata: {
      buildInvocationID: some(facts.invocationId),
      buildStartedOn: formatTime(facts.started),
      buildFinishedOn: formatTime(facts.finished),
      completeness: { parameters: requestComplete, environment: true, materials },
      reproducible: facts.reproducible,
      'https://mobyproject.org/buildkit@v1#metadata': buildkitMetadata(facts, vcs),
      'https://mobyproject.org/buildkit@v1#hermetic': when(hermetic),
    },
  };
}
