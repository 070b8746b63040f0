/**
 * Requests to servers by HTTP: connections kept and limited, proxies of the environment, redirects, servers that fall silent. In
 * comes a request, out go status, headers and a stream. Deliberately absent: what is asked for and why, credentials, retries.
 */
export { dispositionFileName } from './content-disposition.ts';
export { networkText, shownUrl } from './failure.ts';
export { formatHttpDate, parseHttpDate } from './http-date.ts';
export { proxyFor } from './proxy.ts';
export type { ProxyEnvironment } from './proxy.ts';
export { readLimited, Transport, TransportError, USER_AGENT } from './transport.ts';
export type { HttpRequest, HttpResponse, TransportOptions } from './transport.ts';
export { noTlsOptions, secureContext } from './tls-options.ts';
export type { TlsOptions } from './tls-options.ts';
