/** The way to a daemon. Loaded by commands that have one: nobody else needs the client and HTTP/2 below it. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { abortable, BuildError, Code, invalidArgument, sleep, toBuildError } from '../base/index.ts';
import type { ParsedFlags } from '../base/index.ts';
import { connect, daemonError } from '../client/index.ts';
import type { Client } from '../client/index.ts';
import type { TlsOptions } from '../rpc/index.ts';
import type { ClientOptions } from './context.ts';

/** Makes a daemon of this program's own and a client of it. */
export type Embed = (signal: AbortSignal) => Promise<{ client: Client; close: () => Promise<void> }>;

export interface Reached {
  readonly client: Client;
  /** Closes the client and what was started for it. */
  close(): Promise<void>;
}

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

/** The client that the global flags describe. The caller closes it. */
async function resolveClient(flags: ParsedFlags, signal: AbortSignal): Promise<Client> {
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

/** Whether the user said where the daemon is. */
function addressIsGiven(flags: ParsedFlags): boolean {
  return flags.isSet('addr') || Boolean(process.env.BUILDKIT_HOST);
}

/**
 * The daemon that the global flags mean; one of this program's own where none answers, none was named and the command can do with
 * it. The caller closes it.
 */
export async function reachDaemon(
  flags: ParsedFlags,
  options: ClientOptions,
  embed: Embed | undefined,
  signal: AbortSignal,
): Promise<Reached> {
  try {
    const client = await resolveClient(flags, signal);
    return { client, close: () => client.close() };
  } catch (error) {
    if (toBuildError(error).code !== Code.Unavailable) throw error;
    if (options.mayEmbed !== true || embed === undefined || addressIsGiven(flags)) {
      throw options.failure === undefined ? error : daemonError(error, options.failure);
    }
  }
  const { client, close } = await embed(signal);
  return {
    client,
    close: async () => {
      await client.close().catch(() => {});
      await close();
    },
  };
}
