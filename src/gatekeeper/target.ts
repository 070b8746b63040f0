/** What a step asks for: where it goes, and the URL that is judged and shown. They never differ. */

export interface Target {
  readonly secure: boolean;
  /** Name or address, without brackets. */
  readonly host: string;
  readonly port: number;
  /** As the server is told it: the port only where it is not the usual one. */
  readonly authority: string;
  /** With the query. */
  readonly path: string;
  /** Of the URL itself, for Basic authorization; undefined: none. */
  readonly credentials: string | undefined;
  /** As policies see it: the port as it was given, credentials masked. */
  readonly url: string;
  /** As logs and provenance show it: without the usual port. */
  readonly shown: string;
}

/** The request has no place to go to. */
export class NoTarget extends Error {}

const MASK = 'xxxxx';
const USUAL_PORTS: Readonly<Record<string, number>> = { 'http:': 80, 'https:': 443 };
const HOST = /^(?:\[[0-9a-f:.]+\]|[a-z0-9._-]{1,253})$/;
const AUTHORITY = /^(\[[0-9A-Fa-f:.]+\]|[^:/?#@\s[\]]+):(\d{1,5})$/;
/** Sent as it is: servers may sign what is escaped how. Segments that mean others are left to the URL standard. */
const PLAIN_PATH = /^\/[\x21\x22\x24-\x5b\x5d-\x7e]*$/;
/** Nothing of what the URL standard takes for a slash or a query stands before it. */
const PATH_OF_URL = /^[A-Za-z][A-Za-z0-9+.-]*:\/\/[^/?#\\]+(\/[^#]*)(?:#|$)/;
const DOTS = /\/(?:\.|%2e){1,2}(?:[/?]|$)/i;

function parse(text: string): URL {
  try {
    return new URL(text);
  } catch {
    throw new NoTarget('invalid URL');
  }
}

/** `raw`: path and query as they were sent. */
function pathOf(url: URL, raw: string): string {
  return PLAIN_PATH.test(raw) && !DOTS.test(raw) ? raw : url.pathname + url.search;
}

function maskOf({ username, password }: URL): string {
  if (username === '' && password === '') return '';
  return `${username === '' ? '' : MASK}${password === '' ? '' : `:${MASK}`}@`;
}

function unescape(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** `port`: as it is to be shown to policies, '' is none. */
function make(url: URL, path: string, port: string): Target {
  const usual = USUAL_PORTS[url.protocol];
  if (usual === undefined)
    throw new NoTarget(`unsupported protocol scheme ${JSON.stringify(url.protocol.slice(0, -1))}`);
  // The same server by a name that rules do not have.
  const name = url.hostname.replace(/\.$/, '');
  if (!HOST.test(name)) throw new NoTarget('invalid host');
  const { username, password } = url;
  const authority = url.port === '' ? name : `${name}:${url.port}`;
  const start = `${url.protocol}//${maskOf(url)}${name}`;
  return {
    secure: url.protocol === 'https:',
    host: name.replace(/^\[|\]$/g, ''),
    port: url.port === '' ? usual : Number(url.port),
    authority,
    path,
    credentials: username === '' && password === '' ? undefined : [username, password].map(unescape).join(':'),
    url: `${start}${port === '' ? '' : `:${port}`}${path}`,
    shown: `${start}${url.port === '' ? '' : `:${url.port}`}${path}`,
  };
}

/** Of an absolute URL, as a policy gives one. */
export function targetOf(text: string): Target {
  const url = parse(text);
  return make(url, pathOf(url, PATH_OF_URL.exec(text)?.[1] ?? ''), url.port);
}

/** Of a request to a proxy (RFC 9112, 3.2.2), or, with `host` from its header, to a server that does not know it is one. */
export function targetOfRequest(requested: string, host: string | undefined): Target {
  return requested.startsWith('/') ? targetOf(`http://${host ?? ''}${requested}`) : targetOf(requested);
}

/** Where a tunnel is to lead (RFC 9112, 3.2.3). */
export function tunnelTarget(authority: string): Target {
  const parts = AUTHORITY.exec(authority);
  const port = Number(parts?.[2]);
  if (parts === null || port < 1 || port > 65_535) throw new NoTarget('invalid authority');
  return make(parse(`https://${authority}/`), '/', String(port));
}

/** Of a request in a tunnel: its path, wherever else it says that it goes. */
export function targetInTunnel(tunnel: Target, requested: string): Target {
  const absolute = /^[A-Za-z][A-Za-z0-9+.-]*:\/\/[^/?#]*(.*)$/.exec(requested);
  const raw = (absolute === null ? requested : absolute[1] || '/').replace(/#.*$/, '');
  if (!raw.startsWith('/') && !raw.startsWith('?')) throw new NoTarget('invalid path');
  const { host, port } = tunnel;
  const authority = `${host.includes(':') ? `[${host}]` : host}:${port}`;
  const url = parse(`https://${authority}${raw}`);
  return make(url, pathOf(url, raw), String(port));
}
