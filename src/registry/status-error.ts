import { BuildError, Code } from '../base/index.ts';

const TEXTS: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  408: 'Request Timeout',
  413: 'Request Entity Too Large',
  416: 'Requested Range Not Satisfiable',
  429: 'Too Many Requests',
  500: 'Internal Server Error',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
};

function codeOf(status: number): Code {
  if (status === 401) return Code.Unauthenticated;
  if (status === 403) return Code.PermissionDenied;
  if (status === 404) return Code.NotFound;
  if (status === 429) return Code.ResourceExhausted;
  return status >= 500 ? Code.Unavailable : Code.Unknown;
}

/** containerd's text for an answer that nobody wants (core/remotes/errors). */
export function unexpectedStatus(method: string, url: string, status: number): BuildError {
  const text = TEXTS[status];
  return new BuildError(
    codeOf(status),
    `unexpected status from ${method} request to ${url}: ${status}${text === undefined ? '' : ` ${text}`}`,
  );
}
