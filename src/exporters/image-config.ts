import { BuildError, Code, formatTime, wrapError } from '../base/index.ts';
import type { Platform } from '../oci/types.ts';
import { encodeGoJson, rawFields, RawJson } from './go-json.ts';
import type { JsonValue } from './go-json.ts';
import { parseGoTime } from './go-values.ts';
import type { GoTime } from './go-values.ts';
import { historyJson, parseHistory } from './history.ts';
import type { History } from './history.ts';
import { epochNs } from './result.ts';

/** util/system/path.go upstream. */
const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** What an image is like whose build gave no config. */
export function defaultImageConfig(platform: Platform): Uint8Array {
  const config: JsonValue = {
    architecture: platform.architecture,
    os: platform.os,
    'os.version': platform.osVersion,
    'os.features': platform.osFeatures,
    variant: platform.variant,
    config: { ...(platform.os === 'windows' ? {} : { Env: [`PATH=${DEFAULT_PATH}`] }), WorkingDir: '/' },
    rootfs: { type: 'layers', diff_ids: null },
  };
  return Buffer.from(encodeGoJson(config));
}

/** A config that came from a frontend or a registry, as far as it matters here. */
export interface ParsedConfig {
  /** Its text: what is not understood here is handed on as it is written. */
  readonly text: string;
  readonly history: History;
  readonly diffIds: readonly string[];
}

/** Throws when it is no image config; `what` begins the error. */
export function parseImageConfig(bytes: Uint8Array, what: string): ParsedConfig {
  const text = Buffer.from(bytes).toString('utf8');
  let value: { history?: unknown; rootfs?: { diff_ids?: unknown } | null; os?: unknown; architecture?: unknown } | null;
  try {
    value = JSON.parse(text) as typeof value;
  } catch (error) {
    throw wrapError(error, what);
  }
  if (value === null) throw new BuildError(Code.Unknown, 'invalid null image config for export');
  if (typeof value !== 'object' || Array.isArray(value)) throw new BuildError(Code.Unknown, `${what}: not an object`);
  const diffIds = value.rootfs?.diff_ids;
  return {
    text,
    history: parseHistory(value),
    diffIds: Array.isArray(diffIds) ? diffIds.filter((id): id is string => typeof id === 'string') : [],
  };
}

const timeOf = (seconds: number): GoTime => ({ ns: epochNs(seconds), text: formatTime(epochNs(seconds)) });

/** Entries that this build added get no later time than the epoch; those of the base image stay. */
function clampHistory(history: History, epoch: number, base: ParsedConfig | undefined): History {
  const inherited = base?.history ?? [];
  let diverged = false;
  return history?.map((entry, i) => {
    const same =
      i < inherited.length &&
      JSON.stringify(historyJson([entry])) === JSON.stringify(historyJson([inherited[i] as typeof entry]));
    if (!diverged && same) return entry;
    diverged = true;
    if (entry.created !== undefined && entry.created.ns <= epochNs(epoch)) return entry;
    return { ...entry, created: timeOf(epoch) };
  });
}

export interface ConfigPatch {
  readonly diffIds: readonly string[];
  readonly history: History;
  readonly inlineCache?: Uint8Array;
  /** Seconds. */
  readonly epoch?: number;
  readonly base?: ParsedConfig;
}

/** The image's config: the given one with the layers, history and time of what was built. */
export function patchImageConfig(config: ParsedConfig, patch: ConfigPatch): Uint8Array {
  const fields = new Map<string, JsonValue>(rawFields(config.text));
  const text = (key: string): string => {
    const raw = fields.get(key);
    const value: unknown = raw instanceof RawJson ? JSON.parse(raw.text) : '';
    return typeof value === 'string' ? value : '';
  };
  for (const [key, name] of [
    ['os', 'os'],
    ['architecture', 'architecture'],
  ] as const) {
    if (text(key) === '') throw new BuildError(Code.Unknown, `invalid image config for export: missing ${name}`);
  }
  fields.set('rootfs', { type: 'layers', diff_ids: patch.diffIds.length === 0 ? null : patch.diffIds });
  const { epoch } = patch;
  const history = epoch === undefined ? patch.history : clampHistory(patch.history, epoch, patch.base);
  fields.set('history', historyJson(history));
  if (fields.has('created')) {
    if (epoch !== undefined) {
      let created: GoTime;
      try {
        created = parseGoTime(text('created'));
      } catch (error) {
        throw wrapError(error, `failed to unmarshal creation time ${JSON.stringify(text('created'))}`);
      }
      if (created.ns > epochNs(epoch)) fields.set('created', timeOf(epoch).text);
    }
  } else {
    fields.set('created', history?.findLast((entry) => entry.created !== undefined)?.created?.text ?? null);
  }
  if (patch.inlineCache !== undefined) {
    fields.set('moby.buildkit.cache.v0', Buffer.from(patch.inlineCache).toString('base64'));
  }
  return Buffer.from(encodeGoJson(fields));
}
