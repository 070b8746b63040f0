import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { BuildError, Code, invalidArgument } from '../../base/index.ts';

/** What Docker's configuration knows of one registry. Empty texts: nothing. */
export interface RegistryLogin {
  readonly username: string;
  readonly password: string;
  /** An OAuth refresh token, used instead of the password. */
  readonly identityToken: string;
  /** A bearer token to be used as it is. */
  readonly registryToken: string;
}

/** Runs `docker-credential-<name> get` with `input` on stdin; rejects with its output when it fails. */
export type CredentialHelper = (name: string, input: string) => Promise<string>;

const MAX_CONFIG = 4 << 20;
const NOBODY: RegistryLogin = { username: '', password: '', identityToken: '', registryToken: '' };

export function dockerConfigDirectory(): string {
  return process.env.DOCKER_CONFIG || join(homedir(), '.docker');
}

interface ConfigFile {
  readonly auths: Record<string, Record<string, unknown>>;
  readonly credsStore: string;
  readonly credHelpers: Record<string, string>;
}

function readConfig(directory: string): ConfigFile {
  const path = join(directory, 'config.json');
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return { auths: {}, credsStore: '', credHelpers: {} };
  }
  if (text.length > MAX_CONFIG) throw invalidArgument(`${path} is too large`);
  let value: any;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw invalidArgument(`${path} is not JSON`, { cause });
  }
  return {
    auths: value?.auths ?? {},
    credsStore: typeof value?.credsStore === 'string' ? value.credsStore : '',
    credHelpers: value?.credHelpers ?? {},
  };
}

/** Docker compares keys without scheme and path (registry.ConvertToHostname of the Docker CLI). */
function hostOf(key: string): string {
  return key.replace(/^https?:\/\//, '').split('/')[0];
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function fromEntry(entry: Record<string, unknown>): RegistryLogin {
  const found = {
    username: text(entry.username),
    password: text(entry.password),
    identityToken: text(entry.identitytoken),
    registryToken: text(entry.registrytoken),
  };
  if (text(entry.auth) === '') return found;
  const decoded = Buffer.from(text(entry.auth), 'base64').toString('utf8');
  const colon = decoded.indexOf(':');
  if (colon <= 0) throw invalidArgument('invalid auth configuration file');
  return {
    ...found,
    username: decoded.slice(0, colon),
    password: decoded.slice(colon + 1).replace(/^\0+|\0+$/g, ''),
  };
}

async function fromHelper(run: CredentialHelper, name: string, server: string): Promise<RegistryLogin> {
  let answer: any;
  try {
    answer = JSON.parse(await run(name, server));
  } catch (error) {
    // The protocol's text for "nothing stored" (docker-credential-helpers, credentials/error.go).
    if ((error as Error).message.includes('credentials not found')) return NOBODY;
    throw new BuildError(Code.Unknown, `error getting credentials - err: ${(error as Error).message}`, {
      cause: error,
    });
  }
  const secret = text(answer?.Secret);
  if (text(answer?.Username) === '<token>') return { ...NOBODY, identityToken: secret };
  return { ...NOBODY, username: text(answer?.Username), password: secret };
}

/** Read anew at each call: a login during a build counts. */
export async function findLogin(host: string, helper?: CredentialHelper): Promise<RegistryLogin> {
  const config = readConfig(dockerConfigDirectory());
  const server = host === 'registry-1.docker.io' ? 'https://index.docker.io/v1/' : host;
  const name = config.credHelpers[server] ?? config.credsStore;
  if (name !== '' && helper !== undefined) {
    // A name becomes part of a program's name: nothing that leaves the search path.
    if (!/^[A-Za-z0-9._-]+$/.test(name))
      throw invalidArgument(`invalid credential helper name ${JSON.stringify(name)}`);
    return fromHelper(helper, name, server);
  }
  const exact = config.auths[server];
  if (exact !== undefined) return fromEntry(exact);
  for (const [key, entry] of Object.entries(config.auths)) {
    if (hostOf(key) === hostOf(server)) return fromEntry(entry);
  }
  return NOBODY;
}

/**
 * Randomness of this client for one registry, kept beside Docker's configuration: a daemon that picks the salt must not
 * be able to choose the key. A directory that cannot be written only makes it last for the process.
 */
export class TokenSeeds {
  readonly #directory: string;
  readonly #known = new Map<string, string>();

  constructor(directory: string) {
    this.#directory = directory;
  }

  get(host: string): Uint8Array {
    const path = join(this.#directory, '.token_seed');
    const stored: Record<string, { Seed?: string }> = {};
    try {
      Object.assign(stored, JSON.parse(readFileSync(path, 'utf8')));
    } catch {
      // Missing, unreadable or torn: new seeds are made.
    }
    const seed = stored[host]?.Seed ?? this.#known.get(host) ?? randomBytes(16).toString('base64');
    this.#known.set(host, seed);
    if (stored[host]?.Seed === undefined) {
      stored[host] = { Seed: seed };
      try {
        mkdirSync(this.#directory, { recursive: true });
        writeFileSync(path, JSON.stringify(stored, null, 2), { mode: 0o600 });
      } catch {
        // Read-only homes are common in CI.
      }
    }
    return Buffer.from(seed, 'base64');
  }
}
