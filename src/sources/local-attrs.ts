import { invalidArgument } from '../base/index.ts';
import { goJson } from '../oci/index.ts';
import type { SourceRequest } from './types.ts';

/** What the attributes of a local source say. A list that is undefined was not given, which is not the same key as an empty one. */
export interface LocalRequest {
  readonly name: string;
  /** The session to ask first; '' for any of the build's. */
  readonly sessionId: string;
  readonly includePatterns: readonly string[] | undefined;
  readonly excludePatterns: readonly string[] | undefined;
  readonly followPaths: readonly string[] | undefined;
  readonly sharedKeyHint: string;
  readonly differ: 'none' | 'metadata';
  readonly metadataOnly: boolean;
  readonly metadataExceptions: readonly string[] | undefined;
}

const TRUE = ['1', 't', 'T', 'TRUE', 'true', 'True'];
const FALSE = ['0', 'f', 'F', 'FALSE', 'false', 'False'];

function parseBoolean(key: string, text: string | undefined): boolean {
  if (text === undefined || FALSE.includes(text)) return false;
  if (TRUE.includes(text)) return true;
  throw invalidArgument(`invalid value for ${key} ${JSON.stringify(text)}: invalid syntax`);
}

function parseList(key: string, text: string | undefined): readonly string[] | undefined {
  if (text === undefined) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw invalidArgument(`invalid value for ${key}: ${(error as Error).message}`, { cause: error });
  }
  if (value === null) return undefined;
  if (!Array.isArray(value) || value.some((v) => typeof v !== 'string')) {
    throw invalidArgument(`invalid value for ${key}: not a list of strings`);
  }
  return value as string[];
}

/** Throws InvalidArgument. */
export function parseLocal({ ref, attrs }: SourceRequest): LocalRequest {
  let name = ref;
  let sessionId = attrs.get('local.session') ?? '';
  const colon = sessionId.indexOf(':');
  if (colon >= 0) {
    name = `${sessionId.slice(0, colon)}-${name}`;
    sessionId = sessionId.slice(colon + 1);
  }
  const list = (key: string): readonly string[] | undefined => parseList(key, attrs.get(key));
  return {
    name,
    sessionId,
    includePatterns: list('local.includepattern'),
    excludePatterns: list('local.excludepatterns'),
    followPaths: list('local.followpaths'),
    sharedKeyHint: attrs.get('local.sharedkeyhint') ?? '',
    differ: attrs.get('local.differ') === 'none' ? 'none' : 'metadata',
    metadataOnly: parseBoolean('local.metadatatransfer', attrs.get('local.metadatatransfer')),
    metadataExceptions: list('local.metadatatransferexclude'),
  };
}

/** Go's JSON of what identifies one reading of the directory, byte for byte: its digest is the cache key. */
export function localKeyJson(request: LocalRequest, sessionId: string): string {
  const list = (values: readonly string[] | undefined): string =>
    values === undefined ? 'null' : `[${values.map((v) => goJson(v)).join(',')}]`;
  const fields = [
    `"SessionID":${goJson(sessionId)}`,
    `"IncludePatterns":${list(request.includePatterns)}`,
    `"ExcludePatterns":${list(request.excludePatterns)}`,
    `"FollowPaths":${list(request.followPaths)}`,
  ];
  if (request.metadataOnly) fields.push('"MetadataTransfer":true');
  const exceptions = request.metadataExceptions ?? [];
  if (exceptions.length > 0) fields.push(`"MetadataExceptions":${list(exceptions)}`);
  return `{${fields.join(',')}}`;
}
