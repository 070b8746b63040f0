/** A Dockerfile's text becomes the state of its target, and the configuration of that image. */
import { PatternMatcher } from '../../../files/index.ts';
import type { SourceMap, State } from '../../../llb/index.ts';
import { configPlatform, normalizePlatform } from '../../../oci/index.ts';
import type { Platform } from '../../../oci/index.ts';
import type { Definition } from '../../../proto/ops.pb.ts';
import type { GatewayClient } from '../../types.ts';
import type { BuildContext } from '../build-context.ts';
import { deferredState } from '../deferred-state.ts';
import { quote } from '../go-text.ts';
import { parseStages } from '../instructions/index.ts';
import {
  checkBaseImages,
  checkCommandCasing,
  checkInstruction,
  checkStageNames,
  Linter,
  parseLintConfig,
  RULES,
} from '../lint/index.ts';
import type { Warn } from '../lint/index.ts';
import { lineRanges, prefixError, setLocation, textError, withLocation } from '../located-error.ts';
import type { NamedContexts } from '../named-context.ts';
import type { Options } from '../options.ts';
import { decodeSource, findDirective, parseDockerfile } from '../parse/index.ts';
import { withSuggestion } from '../suggest.ts';
import { resolveBase } from './base-image.ts';
import { contextPaths } from './context-paths.ts';
import { Dispatcher, setUser, setWorkdir } from './dispatch.ts';
import { EPOCH_ARG, resolveEpoch } from './epoch.ts';
import type { EpochRequest } from './epoch.ts';
import type { Image } from './image.ts';
import type { Lowering, Platforms } from './lowering.ts';
import { outlineOf } from './outline.ts';
import type { Outline } from './outline.ts';
import { addSources, addTriggers, checkCycles, planCommand } from './plan.ts';
import { planStages } from './plan-stages.ts';
import { scanTargets } from './scan-targets.ts';
import type { ScanTargets } from './scan-targets.ts';
import { reachableStages, StageList } from './stage-state.ts';
import type { StageState } from './stage-state.ts';
import { globalArgs, platformArgs, Variables } from './variables.ts';

export interface ConvertRequest {
  readonly client: GatewayClient;
  readonly options: Options;
  readonly sourceMap: SourceMap;
  readonly context: BuildContext;
  readonly named: NamedContexts;
  /** Undefined: none was asked for. */
  readonly platform: Platform | undefined;
  readonly warn?: Warn;
  /** Nothing is built: what only building could not do is no error. */
  readonly question?: boolean;
  /** Lowers stages that the target does not need, too. */
  readonly allStages?: boolean;
}

export interface Converted {
  readonly definition: Definition;
  readonly image: Image;
  readonly baseImage: Image | undefined;
  readonly epoch: bigint | undefined;
  readonly scan: ScanTargets;
}

function makeLinter(text: string, request: ConvertRequest): Linter {
  const { options, warn } = request;
  if (options.lint !== undefined) return new Linter(options.lint, warn);
  try {
    return new Linter(parseLintConfig(findDirective('check', text)?.full ?? ''), warn);
  } catch (error) {
    throw prefixError(error, 'failed to parse check options');
  }
}

/** The arguments with the epoch that SOURCE_DATE_EPOCH stands for in its place, or without it. */
async function withEpoch(
  request: EpochRequest,
): Promise<{ epoch: bigint | undefined; buildArgs: ReadonlyMap<string, string>; globalArgs: Variables }> {
  const { buildArgs, globalArgs } = request;
  const text = buildArgs.get(EPOCH_ARG) ?? (globalArgs.get(EPOCH_ARG) || undefined);
  if (text === undefined) return { epoch: undefined, buildArgs, globalArgs };
  const epoch = await resolveEpoch(text, request);
  if (epoch === undefined) {
    const rest = [...buildArgs].filter(([key]) => key !== EPOCH_ARG);
    return { epoch, buildArgs: new Map(rest), globalArgs: globalArgs.without(EPOCH_ARG) };
  }
  return {
    epoch,
    buildArgs: buildArgs.has(EPOCH_ARG) ? new Map([...buildArgs, [EPOCH_ARG, `${epoch}`]]) : buildArgs,
    globalArgs: globalArgs.get(EPOCH_ARG) === undefined ? globalArgs : globalArgs.with(EPOCH_ARG, `${epoch}`),
  };
}

interface Prepared {
  readonly lowering: Lowering;
  /** Asks for what the client's context leaves out. */
  readonly loadContext: () => Promise<void>;
  readonly allPaths: Set<string>;
}

async function prepare(request: ConvertRequest): Promise<Prepared> {
  const { options, client, sourceMap } = request;
  if (sourceMap.data.length === 0) throw textError('the Dockerfile cannot be empty');
  const text = decodeSource(sourceMap.data);
  const linter = makeLinter(text, request);
  const parsed = parseDockerfile(text);
  for (const line of parsed.emptyContinuations) linter.run(RULES.noEmptyContinuation, lineRanges(line));
  const { stages, globalArgs: args } = parseStages(parsed.nodes, (node, i) => checkInstruction(node, i, linter));
  if (stages.length === 0) throw textError('dockerfile contains no stages to build');
  checkStageNames(stages, linter);
  checkCommandCasing(stages, linter);

  const build = options.buildPlatform;
  const platforms: Platforms = { build, target: request.platform ?? build, implicit: request.platform === undefined };
  const targetName = options.target || stages[stages.length - 1].stageName;
  const lex = { escape: parsed.escape };
  const start = platformArgs(build, platforms.target, targetName, options.buildArgs);
  try {
    checkBaseImages(stages, globalArgs(start, args, new Map(), lex).values, lex, linter);
  } catch {
    // What is wrong with the arguments is reported below.
  }
  const globals = globalArgs(start, args, options.buildArgs, lex);
  const {
    epoch,
    buildArgs,
    globalArgs: values,
  } = await withEpoch({
    client,
    context: request.context,
    named: request.named,
    platform: build,
    stages,
    buildArgs: options.buildArgs,
    globalArgs: globals.values,
    lex,
  });

  const allPaths = new Set<string>();
  const lowering: Lowering = {
    options,
    buildArgs,
    caps: client.buildOpts().llbCaps,
    sourceMap,
    lex,
    linter,
    platforms,
    globalArgs: values,
    stages: new StageList(),
    ignore: undefined,
    context: deferredState(() => {
      if (main === undefined) throw textError('build context is not known yet');
      return main(contextPaths(allPaths));
    }),
    epoch,
  };
  let main: ((paths: readonly string[]) => State) | undefined;
  const loadContext = async (): Promise<void> => {
    main = await request.context.main();
    const patterns = await request.context.ignorePatterns();
    if (patterns.length > 0) lowering.ignore = new PatternMatcher(patterns);
  };
  planStages(stages, [...globals.all.keys()], lowering, request.named);
  for (const stage of lowering.stages.all) stage.outline.addGlobals(globals.all);
  return { lowering, loadContext, allPaths };
}

function findTarget({ options, stages }: Lowering): StageState {
  if (options.target === '') return stages.all[stages.all.length - 1];
  const found = stages.find(options.target);
  if (found !== undefined) return found;
  const error = textError(`target stage ${quote(options.target)} could not be found`);
  throw withSuggestion(error, options.target, stages.names(), true);
}

function planCommands({ stages, lex }: Lowering): void {
  // Stages that are added on the way have no commands.
  for (const stage of stages.all) {
    for (const command of stage.stage.commands) {
      const planned = planCommand(command, stages, lex);
      stage.commands.push(planned);
      addSources(stage, planned, stages);
    }
  }
  checkCycles(stages.all);
  if (stages.all.length === 1) stages.all[0].name = '';
}

/** Base images may bring triggers, which may bring base images. */
async function resolveStages(
  target: StageState,
  lowering: Lowering,
  request: ConvertRequest,
): Promise<ReadonlySet<StageState>> {
  for (;;) {
    const reachable = reachableStages(target);
    const open = lowering.stages.all.filter((s) => s.base === undefined && !s.dispatched && !s.resolved);
    const settled = await Promise.allSettled(
      open.map((s) => resolveBase(s, request.allStages === true || reachable.has(s), lowering, request)),
    );
    for (const s of settled) if (s.status === 'rejected') throw s.reason;
    let more = false;
    for (const stage of lowering.stages.all) {
      if (reachable.has(stage) && initTriggers(stage, lowering)) more = true;
    }
    if (!more) return reachable;
  }
}

function initTriggers(stage: StageState, lowering: Lowering): boolean {
  stage.inherit();
  const triggers = [...(stage.image.config.OnBuild ?? [])];
  if (stage.base !== undefined && !stage.onbuildDone) {
    for (const { command } of stage.base.commands) if (command.kind === 'onbuild') triggers.push(command.expression);
  }
  stage.onbuildDone = true;
  stage.image.config.OnBuild = undefined;
  if (triggers.length === 0) return false;
  try {
    return addTriggers(stage, triggers, lowering.stages, lowering.lex);
  } catch (error) {
    throw setLocation(error, stage.stage.location);
  }
}

/** What the base image says holds for the steps that follow. */
function startStage(stage: StageState, lowering: Lowering): void {
  const { options, platforms } = lowering;
  stage.inherit();
  stage.dispatched = true;
  stage.platform ??= platforms.target;
  const { config } = stage.image;
  const env = (config.Env ??= []);
  const { environment } = stage.system;
  const hasPath = env.some((e) => e === 'PATH' || e.startsWith('PATH='));
  if (!hasPath && environment.needsSearchPath) env.push(`PATH=${environment.searchPath}`);
  if (stage.base === undefined) stage.env = new Variables([], environment);
  for (const pair of env) {
    const at = pair.indexOf('=');
    stage.setEnv(at < 0 ? pair : pair.slice(0, at), at < 0 ? '' : pair.slice(at + 1));
  }
  if (options.hostname !== '') stage.state = stage.state.hostname(options.hostname);
  if (config.WorkingDir) setWorkdir(stage, config.WorkingDir);
  if (config.User) setUser(stage, config.User);
  stage.state = stage.state.network(options.network);
}

function dispatchStage(stage: StageState, lowering: Lowering): void {
  try {
    startStage(stage, lowering);
  } catch (error) {
    throw withLocation(error, stage.stage.location);
  }
  for (const planned of stage.commands) {
    stage.inOnbuild = planned.onbuild;
    try {
      new Dispatcher(stage, planned.command, lowering).run(planned);
    } catch (error) {
      throw withLocation(error, planned.command.location);
    }
  }
}

function finishImage(image: Image, { platforms, options }: Lowering): void {
  if (options.labels.size > 0) image.config.Labels = { ...image.config.Labels, ...Object.fromEntries(options.labels) };
  const { target, implicit } = platforms;
  if (!implicit) {
    const same = target.os === image.os && target.architecture === image.architecture;
    image.os = target.os;
    image.architecture = target.architecture;
    if (target.variant !== undefined || !same) image.variant = target.variant;
    if (target.osVersion !== undefined || !same) image['os.version'] = target.osVersion;
    if (target.osFeatures !== undefined) image['os.features'] = [...target.osFeatures];
  }
  const normal = normalizePlatform(configPlatform(image));
  image.os = normal.os;
  image.architecture = normal.architecture;
  image.variant = normal.variant;
}

/** Every stage that the target needs becomes a state. */
async function lowerTarget(
  request: ConvertRequest,
): Promise<{ lowering: Lowering; target: StageState; reachable: ReadonlySet<StageState> }> {
  const { lowering, loadContext, allPaths } = await prepare(request);
  const target = findTarget(lowering);
  planCommands(lowering);
  const reachable = await resolveStages(target, lowering, request);
  // Base images first, as upstream: one that is missing asks nothing of the client.
  await loadContext();
  for (const stage of lowering.stages.all) {
    if (stage.dispatched || (request.allStages !== true && !reachable.has(stage))) continue;
    dispatchStage(stage, lowering);
    for (const path of stage.contextPaths) allPaths.add(path);
  }
  // All of the target is wanted.
  target.paths.add('/');
  return { lowering, target, reachable };
}

/** Throws LocatedErrors where lines are to blame. */
export async function convert(request: ConvertRequest): Promise<Converted> {
  const { lowering, target, reachable } = await lowerTarget(request);
  finishImage(target.image, lowering);
  lowering.linter.check();
  const definition = target.state.marshal({ platform: lowering.platforms.target, caps: lowering.caps });
  const { image, baseImage } = target;
  return { definition, image, baseImage, epoch: lowering.epoch, scan: scanTargets(target, reachable, lowering) };
}

/** The target's own definition, without the platform that a build adds to it. */
export async function definitionOf(request: ConvertRequest): Promise<Definition> {
  const { target, lowering } = await lowerTarget(request);
  return target.state.marshal({ caps: lowering.caps });
}

/** What can be passed to the target, without building it. */
export async function outline(request: ConvertRequest): Promise<Outline> {
  const { target, reachable } = await lowerTarget(request);
  return outlineOf(target.stage, reachable);
}
