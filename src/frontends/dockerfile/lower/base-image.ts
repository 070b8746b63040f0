/** What a stage starts from: scratch, an image, or a named context. */
import { image, scratch } from '../../../llb/index.ts';
import {
  checkOsVersion,
  configPlatform,
  formatPlatform,
  formatReference,
  normalizePlatform,
  parseReference,
  withDefaultTag,
  withDigest,
} from '../../../oci/index.ts';
import type { Platform, Reference } from '../../../oci/index.ts';
import type { GatewayClient } from '../../types.ts';
import { quote } from '../go-text.ts';
import { RULES } from '../lint/index.ts';
import { prefixError, textError, withLocation } from '../located-error.ts';
import type { NamedContexts } from '../named-context.ts';
import { EMPTY_ENV } from '../parse/index.ts';
import { withSuggestion } from '../suggest.ts';
import { contextPaths } from './context-paths.ts';
import { cloneImage, emptyImage, readImage } from './image.ts';
import type { Image } from './image.ts';
import { locations } from './lowering.ts';
import type { Lowering } from './lowering.ts';
import type { StageState } from './stage-state.ts';
import { stepName } from './step-name.ts';

export interface BaseImages {
  readonly client: GatewayClient;
  readonly named: NamedContexts;
  readonly question?: boolean;
}

const COMMON = ['alpine', 'busybox', 'centos', 'debian', 'golang', 'ubuntu', 'fedora'].flatMap((name) => [
  name,
  `${name}:latest`,
]);

/** Of stages that stand on nothing of this file. Those that the target does not need are only looked at. */
export async function resolveBase(
  stage: StageState,
  reachable: boolean,
  lowering: Lowering,
  images: BaseImages,
): Promise<void> {
  stage.resolved = reachable;
  if (stage.baseName === 'scratch' && stage.namedContext === undefined) {
    stage.state = scratch();
    stage.image = emptyImage(lowering.platforms.target);
    stage.platform = lowering.platforms.target;
    stage.dispatched ||= stage.implicit;
    return;
  }
  try {
    await resolve(stage, reachable, lowering, images);
  } catch (error) {
    throw withLocation(error, stage.stage.location);
  } finally {
    stage.dispatched ||= stage.implicit;
  }
}

function parseBase(name: string): Reference {
  try {
    return parseReference(name);
  } catch (error) {
    throw prefixError(error, `failed to parse stage name ${quote(name)}`);
  }
}

async function resolve(stage: StageState, reachable: boolean, lowering: Lowering, images: BaseImages): Promise<void> {
  const written = stage.baseName;
  const ref = parseBase(written);
  const platform = stage.platform ?? lowering.platforms.target;
  if (!reachable) return;
  if (stage.namedContext !== undefined) {
    const { state, image: config } = await stage.namedContext.load();
    stage.dispatched = true;
    stage.state = state;
    if (config === undefined) return;
    stage.image = { ...config, created: undefined };
    if (config.os && config.architecture) stage.platform = configPlatform(config);
    return;
  }
  stage.baseName = formatReference(withDefaultTag(ref));
  const named = images.named.find({ name: stage.baseName, platform, paths: () => contextPaths(stage.paths) });
  if (named !== undefined) {
    const { state, image: config = emptyImage(platform) } = await named.load();
    if (images.question !== true) checkLayers(config, platform, written);
    stage.baseImage = cloneImage(config);
    stage.image = { ...config, created: undefined };
    stage.state = state.platform(platform);
    stage.platform = platform;
    return;
  }
  await pull(stage, written, platform, lowering, images);
}

async function pull(
  stage: StageState,
  written: string,
  wanted: Platform,
  lowering: Lowering,
  images: BaseImages,
): Promise<void> {
  const { options, platforms } = lowering;
  const shown = options.multiPlatform ? `${formatPlatform(wanted)} ` : '';
  let resolved: Awaited<ReturnType<GatewayClient['resolveImageConfig']>>;
  try {
    resolved = await images.client.resolveImageConfig(stage.baseName, {
      platform: wanted,
      resolveMode: options.resolveMode,
      logName: `[${shown}internal] load metadata for ${stage.baseName}`,
    });
  } catch (error) {
    const names = [...lowering.stages.names(), ...COMMON];
    throw withSuggestion(prefixError(error, written), written, names, true);
  }
  const config = readImage(resolved.config);
  if (images.question !== true) checkVersion(config, written);
  stage.baseImage = cloneImage(config);
  stage.image = { ...config, created: undefined };
  // Nobody asked for a platform: what the image is made for will do.
  const platform =
    stage.platform === undefined && platforms.implicit ? ofImage(config, wanted, platforms.build) : wanted;
  const ref = parseReference(resolved.ref);
  stage.baseName = formatReference((resolved.digest as string) === '' ? ref : withDigest(ref, resolved.digest));
  stage.platform = platform;
  if (isEmpty(config)) {
    stage.state = scratch();
    return;
  }
  stage.state = image(stage.baseName, {
    description: { 'com.docker.dockerfile.v1.command': stage.stage.code },
    platform,
    resolveMode: options.resolveMode,
    customName: stepName(stage, `FROM ${stage.baseName}`, {
      multiPlatform: options.multiPlatform,
      platform,
      env: EMPTY_ENV,
    }),
    locations: locations(lowering, stage.stage.location),
  });
  if (platform.os !== (config.os ?? '') || platform.architecture !== (config.architecture ?? '')) {
    const [actual, expected] = shownPlatforms(config, platform);
    lowering.linter.run(RULES.invalidBaseImagePlatform, stage.stage.location, written, expected, actual);
    if (images.question !== true) checkLayers(config, platform, written);
  }
}

/** The result would carry on a version that runs on nothing. */
function checkVersion(config: Image, written: string): void {
  try {
    checkOsVersion(configPlatform(config));
  } catch (error) {
    throw prefixError(error, `base image ${written}`);
  }
}

/** Layers of Windows have a form of their own: no step could work on those of the other kind. */
function checkLayers(config: Image, platform: Platform, written: string): void {
  if (!config.os) return;
  const { os } = normalizePlatform(configPlatform(config));
  if ((os === 'windows') === (platform.os === 'windows')) return;
  const [actual, expected] = shownPlatforms(config, platform);
  throw textError(
    `base image ${written} is for ${actual}, the build for ${expected}: ` +
      'layers of windows and of other systems do not go together',
  );
}

function shownPlatforms(config: Image, platform: Platform): [actual: string, expected: string] {
  return [formatPlatform(normalizePlatform(configPlatform(config))), formatPlatform(normalizePlatform(platform))];
}

function ofImage(config: Image, wanted: Platform, build: Platform): Platform {
  const fits = (p: Platform): boolean => p.os === config.os && p.architecture === config.architecture;
  return !fits(wanted) && fits(build) ? build : wanted;
}

/** Old images do not list their layers: their history tells. */
function isEmpty(config: Image): boolean {
  const ids = config.rootfs?.diff_ids ?? [];
  return ids.length === 0 && config.history.every((h) => h.empty_layer === true);
}
