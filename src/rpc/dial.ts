import { connect as connectPlain } from 'node:net';
import type { Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { abortReason, BuildError, Code, invalidArgument, throwIfAborted } from '../base/index.ts';

export interface TlsOptions {
  /** Whose word about the server counts, PEM: without it nobody's that can be relied on. */
  readonly ca: Uint8Array;
  readonly cert?: Uint8Array;
  readonly key?: Uint8Array;
  readonly serverName?: string;
}

export interface DialOptions {
  readonly tls?: TlsOptions;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** Silence after which the kernel asks whether the other machine is still there. Go's own is 15 s. */
export const KEEP_ALIVE_MS = 60_000;

type Target = { readonly path: string } | { readonly host: string; readonly port: number };

/** `unix:///path`, `npipe:////./pipe/name` or `tcp://host:port`. Throws InvalidArgument. */
export function parseAddress(address: string): Target {
  const at = address.indexOf('://');
  if (at < 0) throw invalidArgument(`failed to parse address ${address}, expected format protocol://address`);
  const scheme = address.slice(0, at);
  const rest = address.slice(at + 3);
  if (scheme === 'unix') return { path: rest };
  if (scheme === 'npipe') return { path: rest.replaceAll('/', '\\') };
  if (scheme === 'tcp') {
    const m = /^(?:\[([^\]]+)\]|([^:/]*)):(\d+)\/?$/.exec(rest);
    if (m === null) throw invalidArgument(`failed to parse address ${address}, expected tcp://host:port`);
    return { host: (m[1] ?? m[2]) || 'localhost', port: Number(m[3]) };
  }
  throw invalidArgument(`unsupported protocol ${scheme} in address ${address}`);
}

/** A connected socket. Throws Unavailable. */
export function dial(address: string, options: DialOptions = {}): Promise<Socket> {
  throwIfAborted(options.signal);
  const target = parseAddress(address);
  return new Promise((resolve, reject) => {
    const { tls } = options;
    const name = tls?.serverName ?? ('host' in target ? target.host : 'localhost');
    const socket =
      tls === undefined
        ? connectPlain(target)
        : connectTls({
            ...target,
            ALPNProtocols: ['h2'],
            servername: /^[\d.]+$|:/.test(name) ? undefined : name,
            ca: Buffer.from(tls.ca),
            ...(tls.cert === undefined ? {} : { cert: Buffer.from(tls.cert) }),
            ...(tls.key === undefined ? {} : { key: Buffer.from(tls.key) }),
          });
    const settle = (error?: Error): void => {
      clearTimeout(timer);
      options.signal?.removeEventListener('abort', onAbort);
      socket.off('error', onError);
      if (error === undefined) {
        if ('host' in target) socket.setNoDelay(true).setKeepAlive(true, KEEP_ALIVE_MS);
        resolve(socket);
      } else {
        socket.on('error', () => {});
        socket.destroy();
        reject(error);
      }
    };
    const onAbort = (): void => settle(abortReason(options.signal as AbortSignal));
    const onError = (error: Error): void =>
      settle(new BuildError(Code.Unavailable, `connection error: ${error.message}`, { cause: error }));
    const timer =
      options.timeoutMs === undefined
        ? undefined
        : setTimeout(() => settle(new BuildError(Code.Unavailable, `dial ${address}: timeout`)), options.timeoutMs);
    options.signal?.addEventListener('abort', onAbort, { once: true });
    socket.once('error', onError);
    socket.once(tls === undefined ? 'connect' : 'secureConnect', () => settle());
  });
}
