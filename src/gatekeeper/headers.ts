/** Headers on their way through: names and values in turn, as Node has them raw. */

/** They are between two neighbours, not between client and server (RFC 9110, 7.6.1). */
const HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);
/** `accept-encoding`: digests are of what is sent, and that shall be the file. `expect` has been answered. */
const REPLACED = new Set(['host', 'accept-encoding', 'expect']);

function* pairs(raw: readonly string[]): Generator<readonly [name: string, value: string]> {
  for (let i = 0; i + 1 < raw.length; i += 2) yield [raw[i] as string, raw[i + 1] as string];
}

/** What Connection names is for the neighbour alone, too. */
function droppedBy(raw: readonly string[]): ReadonlySet<string> {
  const named = [...pairs(raw)]
    .filter(([name]) => name.toLowerCase() === 'connection')
    .flatMap(([, value]) => value.split(',').map((one) => one.trim().toLowerCase()))
    // Framing is no matter of choice.
    .filter((name) => name !== 'content-length');
  return new Set([...HOP, ...named]);
}

export function requestHeaders(
  raw: readonly string[],
  target: { readonly authority: string; readonly credentials: string | undefined },
): string[] {
  const dropped = droppedBy(raw);
  const headers = ['Host', target.authority];
  let isAuthorized = false;
  let isChunked = false;
  for (const [name, value] of pairs(raw)) {
    const lower = name.toLowerCase();
    isChunked ||= lower === 'transfer-encoding';
    if (dropped.has(lower) || REPLACED.has(lower)) continue;
    isAuthorized ||= lower === 'authorization';
    headers.push(name, value);
  }
  if (isChunked) headers.push('Transfer-Encoding', 'chunked');
  if (target.credentials !== undefined && !isAuthorized) {
    headers.push('Authorization', `Basic ${Buffer.from(target.credentials).toString('base64')}`);
  }
  return headers;
}

export function responseHeaders(raw: readonly string[]): string[] {
  const dropped = droppedBy(raw);
  return [...pairs(raw)].filter(([name]) => !dropped.has(name.toLowerCase())).flat();
}
