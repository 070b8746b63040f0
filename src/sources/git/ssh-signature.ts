/**
 * Signatures made with SSH keys (OpenSSH's PROTOCOL.sshsig and PROTOCOL.u2f; keys as in RFC 4253, 5656 and 8709). All arithmetic is
 * node:crypto's.
 */
import { createHash, createPublicKey, verify } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { BuildError, Code, wrapError } from '../../base/index.ts';

const ARMOR = /^-----BEGIN SSH SIGNATURE-----\s+([A-Za-z0-9+/=\s]+)-----END SSH SIGNATURE-----\s*$/;
const MAGIC = 'SSHSIG';
/** What git signs for; a signature for another purpose is worth nothing here. */
const NAMESPACE = 'git';
const HASHES: readonly string[] = ['sha256', 'sha512'];
const MIN_RSA_BITS = 1024;
const USER_PRESENT = 1;

const CURVES: ReadonlyMap<string, { crv: string; hash: string; bytes: number }> = new Map([
  ['nistp256', { crv: 'P-256', hash: 'sha256', bytes: 32 }],
  ['nistp384', { crv: 'P-384', hash: 'sha384', bytes: 48 }],
  ['nistp521', { crv: 'P-521', hash: 'sha512', bytes: 66 }],
]);

function fail(message: string): BuildError {
  return new BuildError(Code.Unknown, message);
}

/** The encoding of RFC 4251: numbers and strings with their length in front. */
class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  take(count: number): Buffer {
    if (count > this.#bytes.length - this.#at) throw fail('ssh: short read');
    this.#at += count;
    return this.#bytes.subarray(this.#at - count, this.#at);
  }

  uint32(): number {
    return this.take(4).readUInt32BE();
  }

  bytes(): Buffer {
    return this.take(this.uint32());
  }

  text(): string {
    return this.bytes().toString('latin1');
  }

  /** A number that is not negative, without the zeros in front. */
  number(): Buffer {
    const bytes = this.bytes();
    let zeros = 0;
    while (zeros < bytes.length - 1 && bytes[zeros] === 0) zeros++;
    return bytes.subarray(zeros);
  }

  end(): void {
    if (this.#at !== this.#bytes.length) throw fail('ssh: trailing junk');
  }
}

function encodeString(value: Buffer | string): Buffer {
  const bytes = Buffer.from(value as string);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

const url = (bytes: Buffer): string => bytes.toString('base64url');

/** Of a key: what its signatures look like. */
interface SshKey {
  /** Names of signatures that it may make. */
  readonly algorithms: readonly string[];
  /** Throws unless it holds. `rest` follows the signature proper. */
  check(algorithm: string, message: Buffer, signature: Buffer, rest: Reader): boolean;
}

/** A security key signs, instead of the message, a digest of it with what it knows itself. */
function securityKeyMessage(application: Buffer, message: Buffer, rest: Reader): Buffer {
  const sha256 = (bytes: Buffer): Buffer => createHash('sha256').update(bytes).digest();
  const flags = rest.take(1);
  const counter = rest.take(4);
  if ((flags[0] & USER_PRESENT) === 0) throw fail('ssh: the security key was not touched');
  return Buffer.concat([sha256(application), flags, counter, sha256(message)]);
}

function ed25519(reader: Reader, isSecurityKey: boolean): SshKey {
  const key = createPublicKey({ format: 'jwk', key: { kty: 'OKP', crv: 'Ed25519', x: url(reader.bytes()) } });
  const application = isSecurityKey ? reader.bytes() : undefined;
  return {
    algorithms: [isSecurityKey ? 'sk-ssh-ed25519@openssh.com' : 'ssh-ed25519'],
    check: (_, message, signature, rest) =>
      verify(
        null,
        application === undefined ? message : securityKeyMessage(application, message, rest),
        key,
        signature,
      ),
  };
}

/** r and s, each as wide as the curve. */
function curveSignature(signature: Buffer, width: number): Buffer {
  const reader = new Reader(signature);
  const parts = [reader.number(), reader.number()];
  reader.end();
  const out = Buffer.alloc(2 * width);
  for (const [i, part] of parts.entries()) {
    if (part.length > width) throw fail('ssh: invalid signature');
    part.copy(out, (i + 1) * width - part.length);
  }
  return out;
}

function ecdsa(type: string, reader: Reader, isSecurityKey: boolean): SshKey {
  const curve = CURVES.get(reader.text());
  const point = reader.bytes();
  if (curve === undefined || point.length !== 1 + 2 * curve.bytes || point[0] !== 4)
    throw fail('ssh: unsupported curve');
  const [x, y] = [point.subarray(1, 1 + curve.bytes), point.subarray(1 + curve.bytes)];
  const key = createPublicKey({ format: 'jwk', key: { kty: 'EC', crv: curve.crv, x: url(x), y: url(y) } });
  const application = isSecurityKey ? reader.bytes() : undefined;
  return {
    algorithms: [type],
    check: (_, message, signature, rest) => {
      const signed = application === undefined ? message : securityKeyMessage(application, message, rest);
      const dsa = { key, dsaEncoding: 'ieee-p1363' } as const;
      return verify(curve.hash, signed, dsa, curveSignature(signature, curve.bytes));
    },
  };
}

function rsa(reader: Reader): SshKey {
  const e = reader.number();
  const n = reader.number();
  const key: KeyObject = createPublicKey({ format: 'jwk', key: { kty: 'RSA', n: url(n), e: url(e) } });
  const bits = key.asymmetricKeyDetails?.modulusLength ?? 0;
  if (bits < MIN_RSA_BITS) throw fail(`ssh: RSA key too short: ${bits} bits`);
  return {
    algorithms: ['rsa-sha2-256', 'rsa-sha2-512'],
    check: (algorithm, message, signature) =>
      verify(algorithm === 'rsa-sha2-256' ? 'sha256' : 'sha512', message, key, signature),
  };
}

function readKey(blob: Buffer): SshKey {
  const reader = new Reader(blob);
  const type = reader.text();
  let key: SshKey;
  if (type === 'ssh-ed25519' || type === 'sk-ssh-ed25519@openssh.com') key = ed25519(reader, type.startsWith('sk-'));
  else if (type === 'ssh-rsa') key = rsa(reader);
  else if (/^ecdsa-sha2-nistp(?:256|384|521)$/.test(type)) key = ecdsa(type, reader, false);
  else if (type === 'sk-ecdsa-sha2-nistp256@openssh.com') key = ecdsa(type, reader, true);
  else throw fail(`ssh: unknown key algorithm: ${type}`);
  reader.end();
  return key;
}

/** The first key of a text like authorized_keys(5). */
function readAuthorizedKey(text: string): Buffer {
  for (const line of text.split(/\r?\n/)) {
    // Options may stand before the type; the key is what begins with its own type.
    const words = line.trim().split(/\s+/);
    if (line.trim() === '' || words[0].startsWith('#')) continue;
    for (const [i, word] of words.slice(1).entries()) {
      const blob = Buffer.from(word, 'base64');
      if (blob.length > 4 && blob.subarray(4, 4 + words[i].length).toString('latin1') === words[i]) return blob;
    }
  }
  throw fail('failed to parse ssh public key: ssh: no key found');
}

/** Throws unless the armored signature is one of `key` (an authorized_keys line) over `signed`, made for git. */
export function verifySshSignature(signed: Uint8Array, armored: string, authorizedKey: string): void {
  const body = ARMOR.exec(armored)?.[1];
  if (body === undefined) throw fail('failed to decode ssh signature PEM block');
  const reader = new Reader(Buffer.from(body, 'base64'));
  let parts: { version: number; key: Buffer; namespace: string; reserved: Buffer; hash: string; signature: Buffer };
  try {
    if (reader.take(MAGIC.length).toString('latin1') !== MAGIC) throw fail('invalid magic preamble');
    parts = {
      version: reader.uint32(),
      key: reader.bytes(),
      namespace: reader.text(),
      reserved: reader.bytes(),
      hash: reader.text(),
      signature: reader.bytes(),
    };
    reader.end();
  } catch (error) {
    throw wrapError(error, 'failed to parse ssh signature');
  }
  if (parts.version !== 1) throw fail(`unsupported SSH signature version: ${parts.version}`);
  if (!HASHES.includes(parts.hash)) throw fail(`unsupported SSH signature hash algorithm: ${parts.hash}`);
  if (parts.namespace !== NAMESPACE) {
    throw fail(`unexpected SSH signature namespace: ${JSON.stringify(parts.namespace)}`);
  }
  const blob = readAuthorizedKey(authorizedKey);
  try {
    if (!blob.equals(parts.key)) throw fail('public key does not match');
    const message = Buffer.concat([
      Buffer.from(MAGIC),
      encodeString(parts.namespace),
      encodeString(parts.reserved),
      encodeString(parts.hash),
      encodeString(createHash(parts.hash).update(signed).digest()),
    ]);
    const inner = new Reader(parts.signature);
    const algorithm = inner.text();
    const signature = inner.bytes();
    const key = readKey(blob);
    if (!key.algorithms.includes(algorithm)) {
      throw fail(`invalid signature format ${JSON.stringify(algorithm)}: expected ${key.algorithms.join(' or ')}`);
    }
    if (!key.check(algorithm, message, signature, inner)) throw fail('ssh: signature did not verify');
    inner.end();
  } catch (error) {
    throw wrapError(error, 'failed to verify ssh signature');
  }
}
