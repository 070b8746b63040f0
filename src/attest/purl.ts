/** Package URLs (github.com/package-url/purl-spec) of images. */
import {
  familiarReference,
  formatPlatformShort,
  normalizePlatform,
  parseReference,
  withDefaultTag,
} from '../oci/index.ts';
import type { Platform } from '../oci/types.ts';
import { wrapError } from '../base/index.ts';

/** Go's url.QueryEscape and url.PathEscape, which package URLs are written with. */
function queryEscape(text: string): string {
  return encodeURIComponent(text)
    .replace(/[!'()*]/g, hexOf)
    .replaceAll('%20', '+');
}

function pathEscape(text: string): string {
  return encodeURIComponent(text)
    .replace(/[!'()*]/g, hexOf)
    .replace(/%(24|26|2B|3A|3D|40)/g, (escaped) => decodeURIComponent(escaped));
}

const hexOf = (c: string): string => `%${c.charCodeAt(0).toString(16).toUpperCase()}`;

/** `docker` for what registries have, `oci` for what a client's layout has. */
export function imagePurl(
  type: 'docker' | 'oci',
  ref: string,
  platform: Platform | undefined,
  qualifiers: Readonly<Record<string, string>> = {},
): string {
  let parsed;
  try {
    parsed = parseReference(ref);
  } catch (error) {
    throw wrapError(error, `failed to parse ref ${JSON.stringify(ref)}`);
  }
  const { tag, digest, ...name } = withDefaultTag(parsed);
  const path = familiarReference(name)
    .split('/')
    .map((part) => queryEscape(part))
    .join('/');
  const all: [string, string][] = [
    ...(digest === undefined ? [] : ([['digest', digest]] as [string, string][])),
    ...(platform === undefined
      ? []
      : ([['platform', formatPlatformShort(normalizePlatform(platform))]] as [string, string][])),
    ...Object.entries(qualifiers),
  ];
  const query = all.map(([key, value]) => `${key}=${pathEscape(value)}`).join('&');
  return `pkg:${type}/${path}${tag === undefined ? '' : `@${pathEscape(tag)}`}${query === '' ? '' : `?${query}`}`;
}
