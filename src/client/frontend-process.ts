/** The program of a frontend image: the daemon that started it is on stdin and stdout, and its environment says what to do. */
import { Duplex } from 'node:stream';
import { canceled } from '../base/index.ts';
import type { Frontend } from '../frontends/types.ts';
import { createChannel } from '../rpc/index.ts';
import { gatewayFor, runFrontend } from './gateway.ts';

/** Options are numbered, in no order; the value of each is `name=value`. */
const OPTION = /^BUILDKIT_FRONTEND_OPT_\d+$/;

type Environment = Readonly<Record<string, string | undefined>>;

export function frontendOptions(env: Environment): Map<string, string> {
  const options = new Map<string, string>();
  for (const [key, value] of Object.entries(env)) {
    if (!OPTION.test(key) || value === undefined) continue;
    const at = value.indexOf('=');
    if (at >= 0) options.set(value.slice(0, at), value.slice(at + 1));
  }
  return options;
}

/**
 * Runs `frontend` for the build that this process was started for, and returns its result or its error to the daemon. Nothing
 * else may be written to stdout.
 */
export async function serveBuild(
  frontend: Frontend,
  io: {
    readonly env: Environment;
    readonly stdin: NodeJS.ReadableStream;
    readonly stdout: NodeJS.WritableStream;
  } = process,
): Promise<void> {
  const connection = Duplex.from({ readable: io.stdin, writable: io.stdout });
  const gone = new AbortController();
  connection.once('close', () => gone.abort(canceled()));
  const channel = createChannel(connection);
  try {
    const gateway = await gatewayFor(channel, {
      opts: frontendOptions(io.env),
      sessionId: io.env['BUILDKIT_SESSION_ID'] ?? '',
      product: io.env['BUILDKIT_EXPORTEDPRODUCT'] ?? '',
      signal: gone.signal,
    });
    await runFrontend(gateway, frontend, gone.signal);
  } finally {
    await channel.close();
  }
}
