/**
 * Private keys from files: PEM of OpenSSL (PKCS #1, PKCS #8, SEC 1) and OpenSSH's own format (PROTOCOL.key), without a
 * passphrase. Kinds: RSA, ECDSA on the NIST curves, Ed25519.
 */
import { createPrivateKey, createPublicKey, sign } from 'node:crypto';
import type { JsonWebKey, KeyObject } from 'node:crypto';
import { BuildError, Code, invalidArgument } from '../../base/index.ts';
import { sshMpint, SshReader, sshString } from './ssh-wire.ts';

/** One key that signs for its owner. */
export interface SigningKey {
  /** The public key in SSH's encoding: what agents call the key by. */
  readonly blob: Buffer;
  /** `flags` of an agent's sign request; the signature is in SSH's encoding. */
  sign(data: Uint8Array, flags: number): Buffer;
}

const CURVES = [
  { name: 'nistp256', jwk: 'P-256', hash: 'sha256' },
  { name: 'nistp384', jwk: 'P-384', hash: 'sha384' },
  { name: 'nistp521', jwk: 'P-521', hash: 'sha512' },
] as const;
type Curve = (typeof CURVES)[number];

/** draft-ietf-sshm-ssh-agent, section 5.6.1 */
const RSA_SHA2_256 = 2;
const RSA_SHA2_512 = 4;

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64url');
const bytesOf = (text: string | undefined): Buffer => Buffer.from(text ?? '', 'base64url');
const numberOf = (bytes: Uint8Array): bigint => BigInt(`0x0${Buffer.from(bytes).toString('hex')}`);

function unsupported(kind: string): BuildError {
  return new BuildError(Code.Unknown, `ssh: unsupported key type ${JSON.stringify(kind)}`);
}

function rsaKey(key: KeyObject, { n, e }: JsonWebKey): SigningKey {
  const blob = Buffer.concat([sshString('ssh-rsa'), sshMpint(bytesOf(e)), sshMpint(bytesOf(n))]);
  const algorithm = (flags: number): readonly [name: string, hash: string] => {
    if ((flags & RSA_SHA2_512) !== 0) return ['rsa-sha2-512', 'sha512'];
    return (flags & RSA_SHA2_256) !== 0 ? ['rsa-sha2-256', 'sha256'] : ['ssh-rsa', 'sha1'];
  };
  return {
    blob,
    sign(data, flags) {
      const [name, hash] = algorithm(flags);
      return Buffer.concat([sshString(name), sshString(sign(hash, data, key))]);
    },
  };
}

function ecdsaKey(key: KeyObject, { x, y }: JsonWebKey, { name, hash }: Curve): SigningKey {
  const kind = `ecdsa-sha2-${name}`;
  const point = Buffer.concat([Buffer.of(4), bytesOf(x), bytesOf(y)]);
  return {
    blob: Buffer.concat([sshString(kind), sshString(name), sshString(point)]),
    sign(data) {
      const pair = sign(hash, data, { key, dsaEncoding: 'ieee-p1363' });
      const [r, s] = [pair.subarray(0, pair.length / 2), pair.subarray(pair.length / 2)];
      return Buffer.concat([sshString(kind), sshString(Buffer.concat([sshMpint(r), sshMpint(s)]))]);
    },
  };
}

function ed25519Key(key: KeyObject, { x }: JsonWebKey): SigningKey {
  const kind = 'ssh-ed25519';
  return {
    blob: Buffer.concat([sshString(kind), sshString(bytesOf(x))]),
    sign: (data) => Buffer.concat([sshString(kind), sshString(sign(null, data, key))]),
  };
}

function signingKey(key: KeyObject): SigningKey {
  const jwk = createPublicKey(key).export({ format: 'jwk' });
  if (jwk.kty === 'RSA') return rsaKey(key, jwk);
  const curve = CURVES.find((c) => c.jwk === jwk.crv);
  if (jwk.kty === 'EC' && curve !== undefined) return ecdsaKey(key, jwk, curve);
  if (jwk.crv === 'Ed25519') return ed25519Key(key, jwk);
  throw unsupported(jwk.crv ?? jwk.kty ?? '');
}

function rsaParts(reader: SshReader): JsonWebKey {
  const [n, e, d, qi, p, q] = Array.from({ length: 6 }, () => reader.mpint());
  const exponent = (prime: Buffer): string => {
    const order = numberOf(prime) - 1n;
    if (order <= 0n) throw invalidArgument('ssh: invalid RSA key');
    const hex = (numberOf(d) % order).toString(16);
    return base64(Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex'));
  };
  const parts = { n: base64(n), e: base64(e), d: base64(d), p: base64(p), q: base64(q), qi: base64(qi) };
  return { kty: 'RSA', ...parts, dp: exponent(p), dq: exponent(q) };
}

function ecdsaParts(reader: SshReader): JsonWebKey {
  const name = reader.text();
  const curve = CURVES.find((c) => c.name === name);
  if (curve === undefined) throw unsupported(name);
  const point = reader.string();
  const half = (point.length - 1) / 2;
  // JWK wants the number as long as the curve's.
  const scalar = reader.mpint();
  const d = Buffer.concat([Buffer.alloc(Math.max(0, half - scalar.length)), scalar]);
  const [x, y] = [point.subarray(1, 1 + half), point.subarray(1 + half)];
  return { kty: 'EC', crv: curve.jwk, x: base64(x), y: base64(y), d: base64(d) };
}

function ed25519Parts(reader: SshReader): JsonWebKey {
  const x = reader.string();
  const seed = reader.string().subarray(0, 32);
  return { kty: 'OKP', crv: 'Ed25519', x: base64(x), d: base64(seed) };
}

const MAGIC = 'openssh-key-v1\0';

function parseOpenSsh(bytes: Buffer): KeyObject {
  if (bytes.subarray(0, MAGIC.length).toString('latin1') !== MAGIC)
    throw invalidArgument('ssh: invalid openssh private key format');
  const reader = new SshReader(bytes.subarray(MAGIC.length));
  const cipher = reader.text();
  const kdf = reader.text();
  reader.string(); // of the derivation
  if (reader.uint32() !== 1) throw invalidArgument('ssh: expected one key in the file');
  reader.string(); // the public key, which is also in the private part
  if (cipher !== 'none' || kdf !== 'none') throw passphraseMissing();
  const secret = new SshReader(reader.string());
  if (secret.uint32() !== secret.uint32()) throw invalidArgument('ssh: malformed OpenSSH key');
  const kind = secret.text();
  const jwk = (): JsonWebKey => {
    if (kind === 'ssh-rsa') return rsaParts(secret);
    if (kind.startsWith('ecdsa-sha2-')) return ecdsaParts(secret);
    if (kind === 'ssh-ed25519') return ed25519Parts(secret);
    throw unsupported(kind);
  };
  return createPrivateKey({ key: jwk(), format: 'jwk' });
}

function passphraseMissing(): BuildError {
  return new BuildError(Code.Unknown, 'ssh: this private key is passphrase protected');
}

const PEM = /-----BEGIN ([A-Z0-9 ]+)-----([\s\S]*?)-----END \1-----/;
const OPENSSL = new Set(['RSA PRIVATE KEY', 'PRIVATE KEY', 'EC PRIVATE KEY']);

/** Of a whole file. Throws the texts of Go's ssh.ParseRawPrivateKey where it has them. */
export function parsePrivateKey(file: Uint8Array): SigningKey {
  const found = PEM.exec(Buffer.from(file).toString('latin1'));
  if (found === null) throw new BuildError(Code.Unknown, 'ssh: no key found');
  const [pem, kind, body] = found;
  if (/^Proc-Type:.*ENCRYPTED/m.test(body)) throw passphraseMissing();
  if (kind === 'OPENSSH PRIVATE KEY') return signingKey(parseOpenSsh(Buffer.from(body, 'base64')));
  if (!OPENSSL.has(kind)) throw unsupported(kind);
  return signingKey(createPrivateKey(pem));
}
