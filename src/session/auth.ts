import { createPublicKey, randomBytes, verify } from 'node:crypto';
import { Code, invalidArgument, toBuildError } from '../base/index.ts';
import { AuthDefinition } from '../proto/auth.pb.ts';
import type { SessionCaller } from './types.ts';

const FETCH_TIMEOUT_MS = 60_000;
const DEFAULT_EXPIRY_S = 60;
const SIGNATURE = 64;
/** DER of an Ed25519 public key before its 32 bytes (RFC 8410). */
const SPKI = Buffer.from('302a300506032b6570032100', 'hex');

/** Ties token authorities to this run of the daemon: a client answers with a key made for it. */
const salt = randomBytes(32);

export interface Credentials {
  readonly username: string;
  readonly secret: string;
}

/** The key that Docker's configuration has for a registry host. */
function configHost(host: string): string {
  return host === 'registry-1.docker.io' ? 'https://index.docker.io/v1/' : host;
}

function isAbsent(error: unknown): boolean {
  const { code } = toBuildError(error);
  return code === Code.Unimplemented || code === Code.Unavailable;
}

/** Empty texts when the client has none or serves none. */
export async function fetchCredentials(
  caller: SessionCaller,
  host: string,
  signal?: AbortSignal,
): Promise<Credentials> {
  try {
    const { credentials } = AuthDefinition.methods;
    const r = await caller.channel.unary(AuthDefinition, credentials, { Host: configHost(host) }, { signal });
    return { username: r.Username, secret: r.Secret };
  } catch (error) {
    if (toBuildError(error).code === Code.Unimplemented) return { username: '', secret: '' };
    throw error;
  }
}

/** The public key of whoever fetches tokens for `host` in that client; undefined: ask for credentials instead. */
export async function fetchTokenAuthority(
  caller: SessionCaller,
  host: string,
  signal?: AbortSignal,
): Promise<Uint8Array | undefined> {
  try {
    const { getTokenAuthority } = AuthDefinition.methods;
    const r = await caller.channel.unary(AuthDefinition, getTokenAuthority, { Host: host, Salt: salt }, { signal });
    if (r.PublicKey.length !== 32) throw invalidArgument(`invalid pubkey length ${r.PublicKey.length}`);
    return r.PublicKey;
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw error;
  }
}

/** Whether that client holds the private half of `publicKey`: then it may use tokens fetched through another session. */
export async function verifyTokenAuthority(
  caller: SessionCaller,
  host: string,
  publicKey: Uint8Array,
  signal?: AbortSignal,
): Promise<boolean> {
  const payload = randomBytes(32);
  let signed: Uint8Array;
  try {
    const method = AuthDefinition.methods.verifyTokenAuthority;
    const request = { Host: host, Salt: salt, Payload: payload };
    signed = (await caller.channel.unary(AuthDefinition, method, request, { signal })).Signed;
  } catch (error) {
    if (isAbsent(error)) return false;
    throw error;
  }
  // NaCl's combined form: the signature, then what was signed.
  if (signed.length !== SIGNATURE + payload.length || !payload.equals(signed.subarray(SIGNATURE))) return false;
  const key = createPublicKey({ key: Buffer.concat([SPKI, publicKey]), format: 'der', type: 'spki' });
  return verify(null, payload, key, signed.subarray(0, SIGNATURE));
}

export interface TokenRequest {
  readonly host: string;
  readonly realm: string;
  readonly service: string;
  readonly scopes: readonly string[];
}

export interface FetchedToken {
  readonly token: string;
  readonly expiresInSeconds: number;
  /** Unix seconds; undefined when the registry did not say. */
  readonly issuedAt?: number;
}

export async function fetchToken(
  caller: SessionCaller,
  request: TokenRequest,
  signal?: AbortSignal,
): Promise<FetchedToken> {
  const r = await caller.channel.unary(
    AuthDefinition,
    AuthDefinition.methods.fetchToken,
    {
      ClientID: 'buildkit-client',
      Host: request.host,
      Realm: request.realm,
      Service: request.service,
      Scopes: [...request.scopes],
    },
    { signal, timeoutMs: FETCH_TIMEOUT_MS },
  );
  return {
    token: r.Token,
    expiresInSeconds: Number(r.ExpiresIn) || DEFAULT_EXPIRY_S,
    ...(r.IssuedAt > 0n ? { issuedAt: Number(r.IssuedAt) } : {}),
  };
}
