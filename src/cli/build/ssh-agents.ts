import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { BuildError, invalidArgument, toBuildError, wrapError } from '../../base/index.ts';
import { parsePrivateKey } from '../../session/index.ts';
import type { AgentSource } from '../../session/index.ts';
import { parseBool } from '../attributes.ts';

const { env } = process;

/** Of a key file; no key is longer. */
const MAX_KEY_FILE = 100 << 10;

function readKeyFile(path: string): Uint8Array {
  const fd = openSync(path, 'r');
  try {
    const bytes = Buffer.alloc(MAX_KEY_FILE);
    return bytes.subarray(0, readSync(fd, bytes));
  } catch (error) {
    const { code, message } = toBuildError(error);
    // What a read fails with does not name the file.
    throw new BuildError(code, `failed to read ${path}: ${message.replace(/^read:/, `read ${path}:`)}`);
  } finally {
    closeSync(fd);
  }
}

/** One socket, or key files. */
function sourceOf(paths: readonly string[], raw: boolean): AgentSource {
  let socket: string | undefined;
  const keys: ReturnType<typeof parsePrivateKey>[] = [];
  for (const path of paths) {
    if (socket !== undefined) throw invalidArgument('only single socket allowed');
    if (statSync(path).isSocket()) {
      socket = path;
      continue;
    }
    if (raw) throw invalidArgument('raw mode only supported with socket paths');
    const file = readKeyFile(path);
    try {
      keys.push(parsePrivateKey(file));
    } catch (error) {
      throw wrapError(error, `failed to parse ${path}`);
    }
  }
  if (socket === undefined) return { keys };
  if (keys.length > 0) throw invalidArgument('invalid combination of keys and sockets');
  return { socket, raw };
}

/** `--ssh default|<id>[=<socket>|<key file>[,<key file>…][,raw=true]]`. */
export function parseSsh(values: readonly string[]): Map<string, AgentSource> {
  const agents = new Map<string, AgentSource>();
  for (const value of values) {
    const equals = value.indexOf('=');
    const id = (equals < 0 ? value : value.slice(0, equals)) || 'default';
    let raw = false;
    let paths: string[] = [];
    for (const part of equals < 0 ? [] : value.slice(equals + 1).split(',')) {
      if (!part.startsWith('raw=')) {
        paths.push(part);
        continue;
      }
      const parsed = parseBool(part.slice('raw='.length));
      if (parsed === undefined) throw invalidArgument(`invalid value for 'raw': ${part.slice('raw='.length)}`);
      raw = parsed;
    }
    if (raw && paths.length !== 1) {
      throw invalidArgument(`raw mode must supply exactly one socket path for ${JSON.stringify(id)}`);
    }
    if (agents.has(id)) throw invalidArgument(`invalid duplicate ID ${id}`);
    const shown = `{${id} [${paths.join(' ')}] ${raw}}`;
    if (paths.length === 0 || (paths.length === 1 && paths[0] === '')) paths = [env.SSH_AUTH_SOCK ?? ''];
    if (paths[0] === '') {
      throw invalidArgument('invalid empty ssh agent socket: make sure SSH_AUTH_SOCK is set');
    }
    try {
      agents.set(id, sourceOf(paths, raw));
    } catch (error) {
      const where = `failed to convert agent config ${shown}: failed to convert agent config for ID: ${JSON.stringify(id)}`;
      throw wrapError(error, where);
    }
  }
  return agents;
}
