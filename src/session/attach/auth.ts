import { createHmac, createPrivateKey, createPublicKey, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { BuildError, Code, Mutex } from '../../base/index.ts';
import { AuthDefinition } from '../../proto/auth.pb.ts';
import { dockerConfigDirectory, findLogin, TokenSeeds } from './docker-config.ts';
import type { CredentialHelper, RegistryLogin } from './docker-config.ts';
import { requestToken } from './token-request.ts';
import type { AuthTls } from './token-request.ts';
import type { Attachable } from './session.ts';

export interface AuthOptions {
  readonly helper?: CredentialHelper;
  /** By registry host. */
  readonly tls?: ReadonlyMap<string, AuthTls>;
  /** Told once of each kind of use, as a step of the progress: `[auth] …`. */
  readonly onUse?: (name: string) => void;
}

const LOGIN_LIFE_MS = 4 * 60_000 + 50_000;
/** DER of an Ed25519 private key before its 32 bytes of seed (RFC 8410). */
const PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex');

function credentials(login: RegistryLogin): { username: string; secret: string } {
  if (login.identityToken !== '') return { username: '', secret: login.identityToken };
  return { username: login.username, secret: login.password };
}

/** Docker's logins. Passwords stay here: the daemon gets tokens, unless it asks for the credentials themselves. */
export function provideAuth(options: AuthOptions = {}): Attachable {
  const cached = new Map<string, { login: RegistryLogin; at: number }>();
  // Helpers that ask a keychain do not like company.
  const turn = new Mutex();
  const told = new Set<string>();
  const seeds = new TokenSeeds(dockerConfigDirectory());

  const login = (host: string): Promise<RegistryLogin> =>
    turn.run(async () => {
      const known = cached.get(host);
      if (known !== undefined && Date.now() - known.at < LOGIN_LIFE_MS) return known.login;
      const found = await findLogin(host, options.helper);
      cached.set(host, { login: found, at: Date.now() });
      return found;
    });
  const tell = (name: string): void => {
    if (told.has(name)) return;
    told.add(name);
    options.onUse?.(name);
  };
  const authority = async (host: string, salt: Uint8Array): Promise<KeyObject> => {
    if (/^(1|t|true)$/i.test(process.env.BUILDKIT_NO_CLIENT_TOKEN ?? '')) {
      throw new BuildError(Code.Unavailable, 'client side tokens disabled');
    }
    const mac = createHmac('sha256', salt);
    // Anonymous clients share one key: so may their tokens be.
    if (credentials(await login(host)).secret !== '') mac.update(seeds.get(host));
    const seed = mac.digest();
    return createPrivateKey({ key: Buffer.concat([PKCS8, seed]), format: 'der', type: 'pkcs8' });
  };

  return {
    register: (server) =>
      server.add(AuthDefinition, {
        credentials: async ({ Host }) => {
          const { username, secret } = credentials(await login(Host));
          if (secret !== '') tell(`[auth] sharing credentials for ${Host}`);
          return { Username: username, Secret: secret };
        },
        fetchToken: async (request, call) => {
          const found = await login(request.Host);
          if (found.registryToken !== '') return { Token: found.registryToken, ExpiresIn: 60n, IssuedAt: 0n };
          const { username, secret } = credentials(found);
          if (secret !== '') {
            const scopes = request.Scopes.map((s) => s.replace(/^repository:/, '')).join(' ');
            tell(`[auth] ${scopes} token for ${request.Host}`);
          }
          const answer = await requestToken({
            realm: request.Realm,
            service: request.Service,
            scopes: request.Scopes,
            clientId: 'buildkit-client',
            username,
            secret,
            tls: options.tls?.get(request.Host),
            signal: call.signal,
          });
          return {
            Token: answer.token,
            ExpiresIn: BigInt(Math.floor(answer.expiresInSeconds)),
            IssuedAt: BigInt(answer.issuedAt),
          };
        },
        getTokenAuthority: async ({ Host, Salt }) => {
          const der = createPublicKey(await authority(Host, Salt)).export({ format: 'der', type: 'spki' });
          return { PublicKey: der.subarray(-32) };
        },
        verifyTokenAuthority: async ({ Host, Payload, Salt }) => {
          const signature = sign(null, Payload, await authority(Host, Salt));
          // NaCl's combined form.
          return { Signed: Buffer.concat([signature, Payload]) };
        },
      }),
  };
}
