/** Why a request failed, in the words of Go's net/http: users know these. */

/** The code of a system or TLS error, or of undici's own, wherever it is in the chain of causes. */
function codeOf(error: unknown): { code: string; error: NodeJS.ErrnoException & { address?: string; port?: number } } {
  for (let at: unknown = error, depth = 0; at instanceof Error && depth < 8; at = at.cause, depth++) {
    // A name with several addresses: all of them failed, the last one speaks.
    const single = at instanceof AggregateError ? at.errors.at(-1) : at;
    const code = (single as NodeJS.ErrnoException).code;
    if (typeof code === 'string') return { code, error: single as NodeJS.ErrnoException };
  }
  return { code: '', error: error as NodeJS.ErrnoException };
}

const DIAL: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connect: connection refused',
  EHOSTUNREACH: 'connect: no route to host',
  ENETUNREACH: 'connect: network is unreachable',
  EADDRNOTAVAIL: 'connect: cannot assign requested address',
  ETIMEDOUT: 'connect: connection timed out',
};

const PLAIN: Readonly<Record<string, string>> = {
  ECONNRESET: 'read: connection reset by peer',
  EPIPE: 'write: broken pipe',
  UND_ERR_HEADERS_TIMEOUT: 'net/http: timeout awaiting response headers',
  UND_ERR_BODY_TIMEOUT: 'timeout awaiting response body',
  UND_ERR_HEADERS_OVERFLOW: 'net/http: server response headers exceeded the limit',
  EPROTO: 'http: server gave HTTP response to HTTPS client',
  CERT_HAS_EXPIRED: 'tls: failed to verify certificate: x509: certificate has expired or is not yet valid',
};

const UNKNOWN_AUTHORITY = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]);

/** `closed` is what it means when the server just hangs up: before an answer `EOF`, in its middle `unexpected EOF`. */
export function networkText(thrown: unknown, url: URL, closed: 'EOF' | 'unexpected EOF'): string {
  const { code, error } = codeOf(thrown);
  const { address, port } = error;
  const target = address === undefined ? url.host : `${address.includes(':') ? `[${address}]` : address}:${port}`;
  if (DIAL[code] !== undefined) return `dial tcp ${target}: ${DIAL[code]}`;
  if (code === 'UND_ERR_CONNECT_TIMEOUT') return `dial tcp ${url.host}: i/o timeout`;
  if (code === 'ENOTFOUND') return `dial tcp: lookup ${url.hostname}: no such host`;
  if (code === 'EAI_AGAIN') return `dial tcp: lookup ${url.hostname}: temporary failure in name resolution`;
  if (code === 'UND_ERR_SOCKET' || code === 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH') return closed;
  if (UNKNOWN_AUTHORITY.has(code))
    return 'tls: failed to verify certificate: x509: certificate signed by unknown authority';
  if (error.name === 'HTTPParserError') return `net/http: HTTP/1.x transport connection broken: ${error.message}`;
  return PLAIN[code] ?? error.message;
}

/** The server hung up on a connection that it had kept open: the request may never have reached it. */
export function isHangUp(thrown: unknown): boolean {
  const { code } = codeOf(thrown);
  return code === 'UND_ERR_SOCKET' || code === 'ECONNRESET' || code === 'EPIPE';
}

/** A URL as it is shown to people: without its password (Go: net/url's stripPassword). */
export function shownUrl(url: string): string {
  return url.replace(/^(\w+:\/\/[^/?#@:]*):[^/?#]*@/, '$1:***@');
}
