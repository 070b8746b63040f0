/** Docker image references as github.com/distribution/reference reads them. */
import { invalidArgument } from '../base/index.ts';
import { parseDigest } from './digest.ts';
import type { Digest } from './types.ts';

export interface Reference {
  /** `docker.io`, `localhost:5000`, … */
  readonly domain: string;
  /** `library/alpine` */
  readonly path: string;
  readonly tag?: string;
  readonly digest?: Digest;
}

const DEFAULT_DOMAIN = 'docker.io';
const OFFICIAL = 'library/';
const MAX_NAME = 255;

const COMPONENT = '(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])';
const DOMAIN = `(?:${COMPONENT}(?:\\.${COMPONENT})*|\\[[a-fA-F0-9:]+\\])(?::[0-9]+)?`;
const PATH_COMPONENT = '[a-z0-9]+(?:(?:[._]|__|[-]+)[a-z0-9]+)*';
const PATH = `${PATH_COMPONENT}(?:/${PATH_COMPONENT})*`;
const TAG = '[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}';
const DIGEST = '[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*[:][0-9a-fA-F]{32,}';
const WHOLE = new RegExp(`^(${DOMAIN})/(${PATH})(?::(${TAG}))?(?:@(${DIGEST}))?$`);
const TAG_ONLY = new RegExp(`^${TAG}$`);
/** Longer texts are not references, and matching them would cost. */
const MAX_TEXT = 4096;

function splitDomain(text: string): [domain: string, rest: string] {
  const slash = text.indexOf('/');
  if (slash < 0) return [DEFAULT_DOMAIN, OFFICIAL + text];
  const first = text.slice(0, slash);
  const isDomain = first === 'localhost' || /[.:]/.test(first) || first.toLowerCase() !== first;
  const domain = first === 'index.docker.io' || !isDomain ? DEFAULT_DOMAIN : first;
  const rest = isDomain ? text.slice(slash + 1) : text;
  return [domain, domain === DEFAULT_DOMAIN && !rest.includes('/') ? OFFICIAL + rest : rest];
}

/** Throws InvalidArgument in upstream's words. The default domain is filled in, the tag is not (see {@link withDefaultTag}). */
export function parseReference(text: string): Reference {
  if (/^[a-f0-9]{64}$/.test(text)) {
    throw invalidArgument(`invalid repository name (${text}), cannot specify 64-byte hexadecimal strings`);
  }
  if (text === '' || text.length > MAX_TEXT) throw invalidArgument('invalid reference format');
  const [domain, rest] = splitDomain(text);
  const colon = rest.indexOf(':');
  const name = colon < 0 ? rest : rest.slice(0, colon);
  if (name.toLowerCase() !== name) {
    throw invalidArgument(`invalid reference format: repository name (${name}) must be lowercase`);
  }
  const found = WHOLE.exec(`${domain}/${rest}`);
  if (found === null) throw invalidArgument('invalid reference format');
  if (found[1].length + 1 + found[2].length > MAX_NAME) {
    throw invalidArgument(`repository name must not be more than ${MAX_NAME} characters`);
  }
  return {
    domain: found[1],
    path: found[2],
    ...(found[3] === undefined ? {} : { tag: found[3] }),
    ...(found[4] === undefined ? {} : { digest: parseDigest(found[4]) }),
  };
}

/** `latest` where neither tag nor digest is given. */
export function withDefaultTag(ref: Reference): Reference {
  return ref.tag === undefined && ref.digest === undefined ? { ...ref, tag: 'latest' } : ref;
}

/** As parseReference with the default tag; with tag and digest the tag goes (reference.ParseDockerRef). */
export function parseDockerReference(text: string): Reference {
  const ref = parseReference(text);
  if (ref.digest === undefined) return withDefaultTag(ref);
  return { domain: ref.domain, path: ref.path, digest: ref.digest };
}

export function withTag(ref: Reference, tag: string): Reference {
  if (!TAG_ONLY.test(tag)) throw invalidArgument('invalid tag format');
  return { ...ref, tag };
}

export function withDigest(ref: Reference, digest: Digest): Reference {
  return { ...ref, digest };
}

/** `docker.io/library/alpine` */
export function referenceName(ref: Reference): string {
  return `${ref.domain}/${ref.path}`;
}

function suffix(ref: Reference): string {
  return `${ref.tag === undefined ? '' : `:${ref.tag}`}${ref.digest === undefined ? '' : `@${ref.digest}`}`;
}

export function formatReference(ref: Reference): string {
  return referenceName(ref) + suffix(ref);
}

/** The short form that people write: `alpine:3.20`. */
export function familiarReference(ref: Reference): string {
  if (ref.domain !== DEFAULT_DOMAIN) return formatReference(ref);
  const rest = ref.path.startsWith(OFFICIAL) ? ref.path.slice(OFFICIAL.length) : ref.path;
  return (rest.includes('/') ? ref.path : rest) + suffix(ref);
}

/** `docker.io/library/alpine:latest` for `alpine`. Throws InvalidArgument. */
export function normalizeReference(text: string): string {
  return formatReference(withDefaultTag(parseReference(text)));
}
