import { invalidArgument, logger } from '../../base/index.ts';
import type { CacheEntry } from '../../client/index.ts';
import { parseAttributes, parseBool } from '../attributes.ts';

const { env } = process;

/** GitHub's runner tells its cache service by environment; attributes win. */
function withGithub(attrs: Map<string, string>): void {
  const version = attrs.get('version') ?? (parseBool(env.ACTIONS_CACHE_SERVICE_V2 ?? '') === true ? '2' : '');
  if (!attrs.has('url_v2') && version === '2' && env.ACTIONS_RESULTS_URL !== undefined) {
    attrs.set('url_v2', env.ACTIONS_RESULTS_URL);
  }
  const url = env.ACTIONS_CACHE_URL ?? env.ACTIONS_RESULTS_URL;
  if (!attrs.has('url') && url !== undefined) attrs.set('url', url);
  if (!attrs.has('url') && !attrs.has('url_v2')) {
    throw invalidArgument('cache with type gha requires url parameter to be set');
  }
  if (attrs.has('token')) return;
  if (env.ACTIONS_RUNTIME_TOKEN === undefined) {
    throw invalidArgument('cache with type gha requires token parameter or $ACTIONS_RUNTIME_TOKEN');
  }
  attrs.set('token', env.ACTIONS_RUNTIME_TOKEN);
}

function parse(flag: string, value: string, defaults: readonly (readonly [string, string])[]): CacheEntry {
  if (!value.includes('type=')) {
    logger.warn(
      `${flag} <ref> is deprecated. Please use ${flag} type=registry,ref=<ref>,<opt>=<optval>[,<opt>=<optval>] instead.`,
    );
    return { type: 'registry', attrs: new Map([...defaults, ['ref', value]]) };
  }
  const attrs = new Map([...defaults, ...parseAttributes(value)]);
  const type = attrs.get('type') ?? '';
  attrs.delete('type');
  if (type === '') throw invalidArgument(`${flag} requires type=<type>`);
  if (type === 'gha') withGithub(attrs);
  return { type, attrs };
}

export function parseExportCaches(values: readonly string[]): CacheEntry[] {
  return values.map((value) => parse('--export-cache', value, [['mode', 'min']]));
}

export function parseImportCaches(values: readonly string[]): CacheEntry[] {
  return values.map((value) => parse('--import-cache', value, []));
}
