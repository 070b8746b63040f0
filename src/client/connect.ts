import { BuildError, Code, invalidArgument, toBuildError } from '../base/index.ts';
import { systemAuthorities } from '../host/index.ts';
import { createChannel, dial } from '../rpc/index.ts';
import type { TlsOptions } from '../rpc/index.ts';
import { Client } from './client.ts';

export interface ConnectOptions {
  /** Mutual TLS, for `tcp://` only: its values are the contents of PEM files. Without `ca` the server is one that the machine trusts. */
  readonly tls?: Partial<TlsOptions>;
  /** For the connection itself; none by default. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** Addresses that upstream reaches by running another program, which this client does not. */
const HELPERS = ['docker-container', 'podman-container', 'nerdctl-container', 'kube-pod', 'ssh'];

/**
 * `unix:///path`, `tcp://host:port` or `npipe:////./pipe/name`. Throws Unavailable when nobody answers, InvalidArgument
 * for an address that it cannot use.
 */
export async function connect(address: string, options: ConnectOptions = {}): Promise<Client> {
  const scheme = address.split('://')[0];
  if (HELPERS.includes(scheme)) {
    throw new BuildError(
      Code.Unimplemented,
      `address ${address} needs a connection helper, which this client does not have: forward the daemon's socket and use unix:// or tcp://`,
    );
  }
  if (scheme === 'fd') throw invalidArgument(`address ${address} is one to listen on, not to connect to`);
  try {
    const { tls, ...rest } = options;
    const trust = tls && { ...tls, ca: tls.ca ?? Buffer.from(systemAuthorities().join('\n')) };
    return new Client(createChannel(await dial(address, { ...rest, tls: trust })));
  } catch (error) {
    throw unreachable(error, address);
  }
}

const CAUSES: Readonly<Record<string, string>> = {
  ENOENT: 'no such file or directory',
  ECONNREFUSED: 'connection refused',
  EACCES: 'permission denied',
  EHOSTUNREACH: 'no route to host',
  ENETUNREACH: 'network is unreachable',
  ETIMEDOUT: 'connection timed out',
  EINVAL: 'invalid argument',
};

/** In the words of upstream's clients, which scripts look for. */
function unreachable(thrown: unknown, address: string): BuildError {
  const error = toBuildError(thrown);
  if (error.code !== Code.Unavailable) return error;
  const { code, message } = (error.cause ?? {}) as NodeJS.ErrnoException;
  const cause = CAUSES[code ?? ''] === undefined ? (message ?? error.message) : `connect: ${CAUSES[code ?? '']}`;
  const where = address.replace('://', ' ');
  const text = `transport: Error while dialing: dial ${where}: ${cause}`;
  return new BuildError(Code.Unavailable, `connection error: desc = ${JSON.stringify(text)}`, { cause: error });
}
