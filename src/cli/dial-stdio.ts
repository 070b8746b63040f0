import { pipeline } from 'node:stream/promises';
import { invalidArgument } from '../base/index.ts';
import type { CommandSpec } from '../base/index.ts';
import { dial } from '../rpc/index.ts';
import type { Action, CommandContext } from './context.ts';
import { streamOnto } from './standard-output.ts';

/** The daemon's end may finish while stdin, a terminal, never does; stdin's end only closes that half. */
const dialStdio: Action = async (flags, _args, context) => {
  const address = flags.string('addr');
  const at = address.indexOf('://');
  if (at < 0) throw invalidArgument(`invalid address ${address}`);
  const scheme = address.slice(0, at);
  if (scheme !== 'unix') throw invalidArgument(`invalid address ${address} (expected unix://, got ${scheme}://)`);
  const seconds = flags.int('timeout');
  const socket = await dial(address, { timeoutMs: seconds > 0 ? seconds * 1000 : undefined, signal: context.signal });
  socket.allowHalfOpen = true;
  const up = pipeline(context.stdin, socket, { signal: context.signal });
  up.catch(() => {});
  await pipeline(socket, streamOnto(context.stdout), { signal: context.signal });
  context.stdin.destroy();
  socket.destroy();
};

export const dialStdioCommand: CommandSpec<CommandContext> = {
  name: 'dial-stdio',
  usage: 'Proxy the stdio stream to the daemon connection. Should not be invoked manually.',
  hidden: true,
  action: dialStdio,
};
