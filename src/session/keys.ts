/** Names on the wire of the session (session/session.go, session/filesync/filesync.go, session/content upstream). */
export const META = {
  id: 'x-docker-expose-session-uuid',
  name: 'x-docker-expose-session-name',
  sharedKey: 'x-docker-expose-session-sharedkey',
  method: 'x-docker-expose-session-grpc-method',
  healthTimeout: 'x-buildkit-session-health-custom-timeout',
  exporterId: 'buildkit-attachable-exporter-id',
  multiPlatform: 'buildkit-exporter-multi-platform',
  exporterPrefix: 'exporter-md-',
  storeId: 'buildkit-attachable-store-id',
  sshId: 'buildkit.ssh.id',
} as const;

export type Pairs = Array<readonly [string, string]>;

/**
 * Repeated values of one key. If any is not plain ASCII all are query-escaped and `<key>-encoded: 1` says so
 * (util/… session/filesync/filesync.go:472).
 */
export function encodeValues(key: string, values: readonly string[]): Pairs {
  const plain = values.every((v) => /^[\x20-\x7e]*$/.test(v));
  if (plain) return values.map((v) => [key, v] as const);
  const out: Pairs = values.map((v) => [key, queryEscape(v)] as const);
  out.push([`${key}-encoded`, '1']);
  return out;
}

export function decodeValues(metadata: ReadonlyMap<string, readonly string[]>, key: string): string[] {
  const values = [...(metadata.get(key) ?? [])];
  if (metadata.get(`${key}-encoded`)?.[0] !== '1') return values;
  return values.map((v) => decodeURIComponent(v.replaceAll('+', '%20')));
}

/** Go's url.QueryEscape. */
function queryEscape(text: string): string {
  return encodeURIComponent(text)
    .replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)
    .replaceAll('%20', '+');
}
