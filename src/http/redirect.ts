/** Where a redirect leads, and what goes along: as Go's http.Client, whose habits servers are tested with. */
import { invalidArgument } from '../base/index.ts';

export interface Hop {
  readonly url: URL;
  readonly method: string;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly hasBody: boolean;
}

const STATUSES = new Set([301, 302, 303, 307, 308]);
const SECRETS = new Set(['authorization', 'www-authenticate', 'cookie', 'cookie2', 'proxy-authorization']);

/** Secrets are for the host that they were meant for and those below it, and never go from TLS into the open. */
function trusts(from: URL, to: URL): boolean {
  if (from.protocol === 'https:' && to.protocol !== 'https:') return false;
  return to.hostname === from.hostname || to.hostname.endsWith(`.${from.hostname}`);
}

/** The next request, or undefined when the answer is to be taken as it is. Throws InvalidArgument for where nobody may be sent. */
export function nextHop(hop: Hop, status: number, location: string | undefined): Hop | undefined {
  if (!STATUSES.has(status) || location === undefined || location === '') return undefined;
  if (!URL.canParse(location, hop.url.href)) throw invalidArgument(`failed to parse Location header "${location}"`);
  const url = new URL(location, hop.url);
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw invalidArgument(`unsupported protocol scheme "${url.protocol.slice(0, -1)}"`);
  }
  let headers = hop.headers;
  if (!trusts(hop.url, url)) {
    headers = Object.fromEntries(Object.entries(headers).filter(([name]) => !SECRETS.has(name)));
  }
  if (status === 307 || status === 308) return { ...hop, url, headers };
  const method = hop.method === 'GET' || hop.method === 'HEAD' ? hop.method : 'GET';
  return { url, method, headers, hasBody: false };
}
