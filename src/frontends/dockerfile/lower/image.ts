/** The configuration of the image that a stage makes, and its JSON in the order of upstream's structs. */
import { goJsonBytes, parseImageConfig } from '../../../oci/index.ts';
import type {
  ContainerConfig,
  GoJsonValue,
  HealthConfig,
  HistoryEntry,
  ImageConfig,
  Platform,
} from '../../../oci/index.ts';
import { systemOf, variableKey } from '../../../systems/index.ts';
import type { EnvironmentRules } from '../../../systems/index.ts';

const COMMENT = 'buildkit.dockerfile.v0';

/** As parsed, changed in place by the stage that owns it. */
export type Image = ImageConfig & { config: ContainerConfig; history: HistoryEntry[] };

export function emptyImage(platform: Platform): Image {
  const { needsSearchPath, searchPath } = systemOf(platform.os).environment;
  return {
    architecture: platform.architecture,
    os: platform.os,
    'os.version': platform.osVersion,
    'os.features': platform.osFeatures === undefined ? undefined : [...platform.osFeatures],
    variant: platform.variant,
    rootfs: { type: 'layers', diff_ids: [] },
    history: [],
    config: { WorkingDir: '/', ...(needsSearchPath ? { Env: [`PATH=${searchPath}`] } : {}) },
  };
}

/** Throws InvalidArgument. */
export function readImage(json: Uint8Array): Image {
  const image = parseImageConfig(json);
  return { ...image, config: image.config ?? {}, history: image.history ?? [] };
}

export function cloneImage(image: Image): Image {
  return structuredClone(image);
}

export function addHistory(image: Image, createdBy: string, layer: boolean, created: string | undefined): void {
  image.history.push({ created, created_by: createdBy, comment: COMMENT, empty_layer: layer ? undefined : true });
}

/** In place where the variable is known, at the end otherwise. */
export function setImageEnv(image: Image, key: string, value: string, rules: EnvironmentRules): void {
  const env = (image.config.Env ??= []);
  const same = variableKey(rules, key);
  const at = env.findIndex((e) => variableKey(rules, e.split('=', 1)[0]) === same);
  if (at < 0) env.push(`${key}=${value}`);
  else env[at] = `${key}=${value}`;
}

const text = (value: string | null | undefined): string | undefined => value || undefined;
const number = (value: number | null | undefined): number | undefined => value || undefined;

function list(value: readonly string[] | null | undefined): readonly string[] | undefined {
  return value && value.length > 0 ? value : undefined;
}

function set(value: Record<string, unknown> | null | undefined): ReadonlyMap<string, GoJsonValue> | undefined {
  const keys = Object.keys(value ?? {});
  return keys.length === 0 ? undefined : new Map(keys.map((key) => [key, {}]));
}

function labels(value: Record<string, string> | null | undefined): ReadonlyMap<string, GoJsonValue> | undefined {
  const entries = Object.entries(value ?? {});
  return entries.length === 0 ? undefined : new Map(entries);
}

function healthJson(health: HealthConfig | null | undefined): GoJsonValue | undefined {
  if (!health) return undefined;
  return {
    Test: list(health.Test),
    Interval: number(health.Interval),
    Timeout: number(health.Timeout),
    StartPeriod: number(health.StartPeriod),
    StartInterval: number(health.StartInterval),
    Retries: number(health.Retries),
  };
}

function historyJson(entry: HistoryEntry): GoJsonValue {
  return {
    created: text(entry.created),
    created_by: text(entry.created_by),
    author: text(entry.author),
    comment: text(entry.comment),
    empty_layer: entry.empty_layer || undefined,
  };
}

/** moby/docker-image-spec specs-go/v1/image.go: the shadowed `config` stands last. */
export function imageJson(image: Image): Uint8Array {
  const { config, history, rootfs } = image;
  const ids = rootfs?.diff_ids;
  return goJsonBytes({
    created: text(image.created),
    author: text(image.author),
    architecture: image.architecture ?? '',
    os: image.os ?? '',
    'os.version': text(image['os.version']),
    'os.features': list(image['os.features']),
    variant: text(image.variant),
    rootfs: { type: rootfs?.type ?? '', diff_ids: ids && ids.length > 0 ? ids : null },
    history: history.length === 0 ? undefined : history.map(historyJson),
    config: {
      User: text(config.User),
      ExposedPorts: set(config.ExposedPorts),
      Env: list(config.Env),
      Entrypoint: list(config.Entrypoint),
      Cmd: list(config.Cmd),
      Volumes: set(config.Volumes),
      WorkingDir: text(config.WorkingDir),
      Labels: labels(config.Labels),
      StopSignal: text(config.StopSignal),
      ArgsEscaped: config.ArgsEscaped || undefined,
      Healthcheck: healthJson(config.Healthcheck),
      OnBuild: list(config.OnBuild),
      Shell: list(config.Shell),
    },
  });
}
