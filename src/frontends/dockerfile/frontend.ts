/** One build: options checked, the Dockerfile read, each platform lowered and handed over to be solved. */
import { BuildError, Code, jsonDetail, throwIfAborted, toBuildError } from '../../base/index.ts';
import { sourceInfoJson } from '../../llb/index.ts';
import type { ResultAttestation, SourceMap } from '../../llb/index.ts';
import { defaultPlatform, formatPlatform, goJsonBytes, normalizePlatform } from '../../oci/index.ts';
import type { Platform } from '../../oci/index.ts';
import { createSbomScanner, sbomAttestation } from '../sbom-scanner.ts';
import type { Scan } from '../sbom-scanner.ts';
import type { Frontend, GatewayClient, GatewayRef } from '../types.ts';
import { BuildContext } from './build-context.ts';
import type { DockerfileSource } from './build-context.ts';
import { lintReport } from './lint-report.ts';
import type { LintWarning } from './lint/index.ts';
import { LocatedError, toWireRanges } from './located-error.ts';
import type { LineRange } from './located-error.ts';
import { convert, definitionOf, imageJson, outline } from './lower/index.ts';
import type { Converted, ConvertRequest } from './lower/index.ts';
import { NamedContexts } from './named-context.ts';
import { parseOptions } from './options.ts';
import type { Options } from './options.ts';
import { detectSyntax } from './parse/index.ts';
import { answerSubrequest, definitionResult, outlineResult } from './subrequests.ts';
import { platformJson } from '../platform-json.ts';

const SYNTAX_ARGUMENT = 'build-arg:BUILDKIT_SYNTAX';
const CAPABILITIES = new Set(
  ['inputs', 'subrequests', 'contexts', 'gitquerystring'].map((name) => `moby.buildkit.frontend.${name}`),
);

/**
 * Throws for a capability that this frontend does not have. For one that is asked for with `+forward`, the error is returned: it
 * only matters where no other frontend takes over.
 */
function checkCapabilities(wanted: string): BuildError | undefined {
  let missing: BuildError | undefined;
  for (const cap of wanted === '' ? [] : wanted.split(',')) {
    const name = cap.split('+', 1)[0];
    if (CAPABILITIES.has(name)) continue;
    missing = new BuildError(Code.Unimplemented, `unsupported frontend capability ${name}`, {
      details: [jsonDetail('errdefs.FrontendCap', { name })],
    });
    if (!cap.includes('+forward')) throw missing;
  }
  return missing;
}

function withSource(error: BuildError, map: SourceMap, ranges: readonly LineRange[]): BuildError {
  return error.withDetail(
    jsonDetail('errdefs.Source', {
      info: sourceInfoJson(map),
      ranges: ranges.map((r) => ({ start: { line: r.start }, end: { line: r.end } })),
    }),
  );
}

function withSources(thrown: unknown, map: SourceMap): BuildError {
  const error = toBuildError(thrown);
  if (!(error instanceof LocatedError)) return error;
  return error.locations.reduce<BuildError>((e, ranges) => withSource(e, map, ranges), error);
}

/** Hands the build over to the frontend image `source`, with everything that was asked and given. */
async function forward(client: GatewayClient, source: string, cmdline: string): Promise<Awaited<ReturnType<Frontend>>> {
  const { opts, frontendCaps } = client.buildOpts();
  const frontendOpt = new Map([...opts, ['cmdline', cmdline], ['source', source]]);
  const frontendInputs = frontendCaps.has('frontend.inputs') ? await client.inputs() : undefined;
  return await client.solve({ frontend: 'gateway.v0', frontendOpt, ...(frontendInputs && { frontendInputs }) });
}

function hasSource(error: BuildError): boolean {
  return error.findDetail('errdefs.Source') !== undefined;
}

/** Another frontend where one is asked for, by the build or by the file; undefined: this one. */
async function forwarded(
  client: GatewayClient,
  options: Options,
  map: SourceMap,
): Promise<Awaited<ReturnType<Frontend>> | undefined> {
  // Set when this frontend was itself chosen so.
  if (options.raw.has('cmdline')) return undefined;
  const argument = options.raw.get(SYNTAX_ARGUMENT);
  const found = argument === undefined ? detectSyntax(new TextDecoder().decode(map.data)) : undefined;
  try {
    if (argument !== undefined) return await forward(client, argument.trim().split(' ', 1)[0], argument);
    if (found !== undefined) return await forward(client, found.value, found.full);
    return undefined;
  } catch (thrown) {
    const error = toBuildError(thrown);
    if (hasSource(error)) throw error;
    if (found !== undefined) throw withSource(error, map, found.location);
    throw new LocatedError(error, [], `failed with ${SYNTAX_ARGUMENT} = ${argument}: ${error.message}`);
  }
}

/** Warnings are sent as they come; the build waits for them in the end. */
class Warnings {
  readonly #client: GatewayClient;
  readonly #source: DockerfileSource;
  readonly #sent: Promise<void>[] = [];

  constructor(client: GatewayClient, source: DockerfileSource) {
    this.#client = client;
    this.#source = source;
  }

  send(warning: LintWarning): void {
    const { map, vertex } = this.#source;
    const line = warning.location[0]?.start ?? 0;
    const text = `${warning.rule}: ${warning.message}${line > 0 ? ` (line ${line})` : ''}`;
    const sent = this.#client.warn(vertex, text, {
      level: 1,
      sourceInfo: { filename: map.filename, data: map.data, language: map.language, definition: map.definition },
      ranges: toWireRanges(warning.location),
      detail: [warning.description],
      url: warning.url,
    });
    // A warning that does not arrive fails no build.
    this.#sent.push(sent.catch(() => {}));
  }

  async done(): Promise<void> {
    await Promise.all(this.#sent);
  }
}

interface PlatformResult {
  readonly id: string;
  readonly platform: Platform;
  readonly converted: Converted;
  readonly ref: GatewayRef | undefined;
  readonly attestations: readonly ResultAttestation<GatewayRef | undefined>[];
}

function exportPlatform(asked: Platform | undefined, { image }: Converted): { id: string; platform: Platform } {
  const platform = normalizePlatform(asked ?? defaultPlatform());
  const id = formatPlatform(platform);
  if (platform.os !== 'windows' || image.os !== 'windows') return { id, platform };
  return {
    id,
    platform: normalizePlatform({
      ...platform,
      osVersion: platform.osVersion ?? image['os.version'],
      osFeatures: platform.osFeatures ?? image['os.features'],
    }),
  };
}

function assemble(results: readonly PlatformResult[], multiPlatform: boolean): Awaited<ReturnType<Frontend>> {
  const metadata = new Map<string, Uint8Array>();
  for (const { id, converted } of results) {
    const suffix = multiPlatform ? `/${id}` : '';
    metadata.set(`containerimage.config${suffix}`, imageJson(converted.image));
    if (converted.baseImage !== undefined) {
      metadata.set(`containerimage.base.config${suffix}`, imageJson(converted.baseImage));
    }
    if (converted.epoch !== undefined) metadata.set(`source.date.epoch${suffix}`, Buffer.from(`${converted.epoch}`));
  }
  const Platforms = results.map(({ id, platform }) => ({ ID: id, Platform: platformJson(platform) }));
  metadata.set('refs.platforms', goJsonBytes({ Platforms }));
  const attested = results.filter(({ attestations }) => attestations.length > 0);
  const attestations = attested.length === 0 ? undefined : new Map(attested.map((r) => [r.id, r.attestations]));
  if (!multiPlatform) return { ref: results[0].ref, metadata, attestations };
  return { refs: new Map(results.map(({ id, ref }) => [id, ref])), metadata, attestations };
}

async function scannerOf(client: GatewayClient, options: Options): Promise<Scan | undefined> {
  const { sbom, buildPlatform: platform, resolveMode } = options;
  return sbom && (await createSbomScanner(client, { ...sbom, platform, resolveMode }));
}

async function buildAll(
  client: GatewayClient,
  options: Options,
  context: BuildContext,
  source: DockerfileSource,
  signal: AbortSignal,
): Promise<Awaited<ReturnType<Frontend>>> {
  const targets = options.targetPlatforms.length === 0 ? [undefined] : options.targetPlatforms;
  const scan = await scannerOf(client, options);
  const warnings = new Warnings(client, source);
  const named = new NamedContexts(client, options);
  const buildOne = async (asked: Platform | undefined, index: number): Promise<PlatformResult> => {
    const converted = await convert({
      client,
      options,
      context,
      named,
      sourceMap: source.map,
      platform: asked,
      // Once is enough.
      warn: index === 0 ? (warning) => warnings.send(warning) : undefined,
    });
    throwIfAborted(signal);
    const { definition } = converted;
    const { ref } = await client.solve({ definition, cacheImports: options.cacheImports });
    const { id, platform } = exportPlatform(asked, converted);
    if (scan === undefined) return { id, platform, converted, ref, attestations: [] };
    const scanned = await client.solve({ definition: scan({ name: id, ...converted.scan }).marshal() });
    return { id, platform, converted, ref, attestations: [sbomAttestation(scanned.ref)] };
  };
  const settled = await Promise.allSettled(targets.map(buildOne));
  await warnings.done();
  const results = settled.map((s) => {
    if (s.status === 'rejected') throw s.reason;
    return s.value;
  });
  return assemble(results, options.multiPlatform);
}

function questionRequest(
  client: GatewayClient,
  options: Options,
  context: BuildContext,
  source: DockerfileSource,
): ConvertRequest {
  const named = new NamedContexts(client, options);
  return { client, options, context, named, sourceMap: source.map, platform: undefined, question: true };
}

/** Without a target all stages are looked at; what would fail the build is part of the answer. */
async function lint(asked: ConvertRequest): Promise<Awaited<ReturnType<Frontend>>> {
  const warnings: LintWarning[] = [];
  const { sourceMap } = asked;
  try {
    await convert({
      ...asked,
      warn: (warning) => void warnings.push(warning),
      allStages: asked.options.target === '',
    });
  } catch (error) {
    const { message } = toBuildError(error);
    const ranges = error instanceof LocatedError ? error.locations.flat() : [];
    return lintReport(sourceMap, warnings, { message, ranges });
  }
  return lintReport(sourceMap, warnings, undefined);
}

export const dockerfileFrontend: Frontend = async (client, signal) => {
  const options = parseOptions(client.buildOpts());
  const missing = checkCapabilities(options.raw.get('frontend.caps') ?? '');
  const context = new BuildContext(client, options);
  const source = await context.dockerfile('Dockerfile');
  throwIfAborted(signal);
  const other = await forwarded(client, options, source.map);
  if (other !== undefined) return other;
  if (missing !== undefined) throw missing;
  try {
    const request = options.raw.get('requestid');
    const question = questionRequest(client, options, context, source);
    if (request === 'frontend.lint') return await lint(question);
    if (request === 'frontend.outline') return outlineResult(await outline(question), source.map.data);
    if (request === 'frontend.convertllb') return definitionResult(await definitionOf(question));
    if (request !== undefined) return answerSubrequest(request, source.map.data);
    return await buildAll(client, options, context, source, signal);
  } catch (error) {
    throw withSources(error, source.map);
  }
};
