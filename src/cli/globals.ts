import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { abortable, BuildError, Code, invalidArgument, sleep, toBuildError } from '../base/index.ts';
import type { FlagSpec, ParsedFlags } from '../base/index.ts';
import { connect } from '../client/index.ts';
import type { Client } from '../client/index.ts';
import type { TlsOptions } from '../rpc/index.ts';

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

function oneOf(directory: string, either: string, or: string): string {
  const found = [either, or].map((name) => join(directory, name)).find((path) => existsSync(path));
  if (found === undefined) {
    throw invalidArgument(`directory did not contain one of the needed files: ${either} or ${or}`);
  }
  return found;
}

function readTls(flags: ParsedFlags, address: string): Partial<TlsOptions> | undefined {
  let [ca, cert, key] = ['tlscacert', 'tlscert', 'tlskey'].map((name) => flags.string(name));
  const directory = flags.string('tlsdir');
  if (directory !== '') {
    if (ca !== '' || cert !== '' || key !== '') {
      throw invalidArgument('cannot specify tlsdir and tlscacert/tlscert/tlskey at the same time');
    }
    ca = oneOf(directory, 'ca.pem', 'ca.crt');
    cert = oneOf(directory, 'cert.pem', 'tls.crt');
    key = oneOf(directory, 'key.pem', 'tls.key');
  }
  if (ca === '' && cert === '' && key === '') return undefined;
  if ((cert === '') !== (key === '')) throw invalidArgument('could not read certificate/key: both are needed');
  const host = /^[a-z]+:\/\/(\[[^\]]*\]|[^:/]*)/.exec(address)?.[1].replace(/[[\]]/g, '') ?? '';
  const serverName = flags.string('tlsservername') || host;
  return {
    ...(ca === '' ? {} : { ca: readFileSync(ca) }),
    ...(cert === '' ? {} : { cert: readFileSync(cert), key: readFileSync(key) }),
    ...(serverName === '' ? {} : { serverName }),
  };
}

const WAIT_STEP_MS = 1_000;

/** Asks until the daemon answers. One that does not know the question is up as well. */
async function waitUntilUp(dial: () => Promise<Client>, signal: AbortSignal): Promise<Client> {
  for (;;) {
    let client: Client | undefined;
    try {
      client = await dial();
      await client.info({ signal });
      return client;
    } catch (error) {
      if (client !== undefined && toBuildError(error).code === Code.Unimplemented) return client;
      await client?.close();
      if (toBuildError(error).code !== Code.Unavailable) throw error;
    }
    await sleep(WAIT_STEP_MS, signal);
  }
}

/** Whether the user said where the daemon is. */
export function addressIsGiven(flags: ParsedFlags): boolean {
  return flags.isSet('addr') || Boolean(process.env.BUILDKIT_HOST);
}

/** The client that the global flags describe. The caller closes it. */
export async function resolveClient(flags: ParsedFlags, signal: AbortSignal): Promise<Client> {
  const address = flags.string('addr');
  const tls = readTls(flags, address);
  const seconds = flags.int('timeout');
  const timeoutMs = seconds > 0 ? seconds * 1000 : undefined;
  const dial = (): Promise<Client> => connect(address, { tls, timeoutMs, signal });
  if (!flags.bool('wait')) return dial();
  const limit = timeoutMs === undefined ? signal : AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
  try {
    return await abortable(waitUntilUp(dial, limit), limit);
  } catch (error) {
    if (!limit.aborted || signal.aborted) throw error;
    throw new BuildError(Code.DeadlineExceeded, 'context deadline exceeded', { cause: error });
  }
}
