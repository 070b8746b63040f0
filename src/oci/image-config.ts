/** An image's config: OCI's fields and Docker's beside them. Fields that nobody knows here are kept as they are. */
import { invalidArgument } from '../base/index.ts';
import { isDigest } from './digest.ts';
import { MAX_CONFIG_BYTES, MAX_LAYERS, parseJsonObject } from './manifest.ts';
import type { Digest, Platform } from './types.ts';

export interface HealthConfig {
  Test?: string[];
  /** Nanoseconds. */
  Interval?: number;
  Timeout?: number;
  StartPeriod?: number;
  StartInterval?: number;
  Retries?: number;
}

export interface ContainerConfig {
  User?: string;
  ExposedPorts?: Record<string, object>;
  Env?: string[];
  Entrypoint?: string[];
  Cmd?: string[];
  Volumes?: Record<string, object>;
  WorkingDir?: string;
  Labels?: Record<string, string>;
  StopSignal?: string;
  ArgsEscaped?: boolean;
  Healthcheck?: HealthConfig;
  OnBuild?: string[];
  StopTimeout?: number;
  Shell?: string[];
  [unknown: string]: unknown;
}

export interface HistoryEntry {
  created?: string;
  created_by?: string;
  author?: string;
  comment?: string;
  empty_layer?: boolean;
}

export interface ImageConfig {
  created?: string;
  author?: string;
  architecture?: string;
  variant?: string;
  os?: string;
  'os.version'?: string;
  'os.features'?: string[];
  config?: ContainerConfig;
  rootfs?: { type: string; diff_ids: Digest[] };
  history?: HistoryEntry[];
  [unknown: string]: unknown;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const isTextList = (value: unknown): boolean => Array.isArray(value) && value.every((v) => typeof v === 'string');
const isAbsent = (value: unknown): boolean => value === undefined || value === null;

function check(ok: boolean, field: string): void {
  if (!ok) throw invalidArgument(`failed to parse image config: invalid ${field}`);
}

function checkContainer(value: unknown): void {
  if (isAbsent(value)) return;
  check(isObject(value), 'config');
  const c = value as Record<string, unknown>;
  for (const field of ['User', 'WorkingDir', 'StopSignal'])
    check(isAbsent(c[field]) || typeof c[field] === 'string', `config.${field}`);
  for (const field of ['Env', 'Entrypoint', 'Cmd', 'OnBuild', 'Shell'])
    check(isAbsent(c[field]) || isTextList(c[field]), `config.${field}`);
  for (const field of ['ExposedPorts', 'Volumes', 'Labels', 'Healthcheck'])
    check(isAbsent(c[field]) || isObject(c[field]), `config.${field}`);
}

function checkRootfs(value: unknown): void {
  if (isAbsent(value)) return;
  check(isObject(value), 'rootfs');
  const ids = (value as Record<string, unknown>).diff_ids;
  check(isAbsent(ids) || Array.isArray(ids), 'rootfs.diff_ids');
  const list = (ids ?? []) as unknown[];
  check(list.length <= MAX_LAYERS && list.every((id) => isDigest(id)), 'rootfs.diff_ids');
}

/** Throws InvalidArgument. */
export function parseImageConfig(bytes: Uint8Array): ImageConfig {
  const json = parseJsonObject(bytes, 'image config', MAX_CONFIG_BYTES);
  for (const field of ['architecture', 'variant', 'os', 'os.version', 'created', 'author']) {
    check(isAbsent(json[field]) || typeof json[field] === 'string', field);
  }
  check(isAbsent(json['os.features']) || isTextList(json['os.features']), 'os.features');
  check(isAbsent(json.history) || (Array.isArray(json.history) && json.history.every(isObject)), 'history');
  checkContainer(json.config);
  checkRootfs(json.rootfs);
  return { ...json } as ImageConfig;
}

export function configPlatform(config: ImageConfig): Platform {
  return {
    os: config.os ?? '',
    architecture: config.architecture ?? '',
    ...(config.variant ? { variant: config.variant } : {}),
    ...(config['os.version'] ? { osVersion: config['os.version'] } : {}),
    ...(config['os.features'] && config['os.features'].length > 0 ? { osFeatures: config['os.features'] } : {}),
  };
}

export function configDiffIds(config: ImageConfig): readonly Digest[] {
  return config.rootfs?.type === 'layers' ? (config.rootfs.diff_ids ?? []) : [];
}
