import { join } from 'node:path';
import type { FlagSpec } from '../base/index.ts';

/** Upstream's util/appdefaults: root's socket, or that of the user's runtime directory. */
export function defaultAddress(): string {
  const runtime = process.env.XDG_RUNTIME_DIR;
  if (process.getuid?.() !== 0 && runtime) return `unix://${join(runtime, 'buildkit/buildkitd.sock')}`;
  return 'unix:///run/buildkit/buildkitd.sock';
}

export const globalFlags: readonly FlagSpec[] = [
  { kind: 'bool', name: 'debug', usage: 'enable debug output in logs' },
  {
    kind: 'string',
    name: 'addr',
    usage: 'buildkitd address',
    default: process.env.BUILDKIT_HOST || defaultAddress(),
  },
  { kind: 'string', name: 'log-format', usage: 'log formatter: json or text', default: 'text' },
  { kind: 'string', name: 'tlsservername', usage: 'buildkitd server name for certificate validation' },
  { kind: 'string', name: 'tlscacert', usage: 'CA certificate for validation' },
  { kind: 'string', name: 'tlscert', usage: 'client certificate' },
  { kind: 'string', name: 'tlskey', usage: 'client key' },
  {
    kind: 'string',
    name: 'tlsdir',
    usage:
      'directory containing CA certificate, client certificate, and client key. Supported file names are (ca.pem, cert.pem, key.pem) or (ca.crt, tls.crt, tls.key)',
  },
  { kind: 'int', name: 'timeout', usage: 'timeout backend connection after value seconds', default: '5' },
  { kind: 'bool', name: 'wait', usage: 'block RPCs until the connection becomes available' },
];
