/** Key packets of version 4, as far as signatures can be checked with them. */
import { createHash, createPublicKey } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { ByteReader } from './byte-reader.ts';
import { unsupported } from './failure.ts';

export const Algorithm = {
  rsa: 1,
  rsaEncrypt: 2,
  rsaSign: 3,
  elgamal: 16,
  dsa: 17,
  ecdh: 18,
  ecdsa: 19,
  eddsa: 22,
} as const;

export interface PublicKey {
  /** Seconds since 1970. */
  readonly created: number;
  readonly algorithm: number;
  readonly fingerprint: string;
  /** The last 16 digits of the fingerprint. */
  readonly id: string;
  /** Of RSA, else 0. */
  readonly bits: number;
  /** What is hashed of the key in signatures about it. */
  readonly prefixed: Buffer;
  /** Throws for kinds of keys that cannot be used here. */
  open(): KeyObject;
}

const ED25519_OID = '2b06010401da470f01';

function der(tag: number, ...parts: Uint8Array[]): Buffer {
  const body = Buffer.concat(parts);
  const { length } = body;
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), body]);
}

function openRsa(n: Buffer, e: Buffer): KeyObject {
  const [N, E] = [n.toString('base64url'), e.toString('base64url')];
  return createPublicKey({ format: 'jwk', key: { kty: 'RSA', n: N, e: E } });
}

/** RFC 5480's form: any curve that OpenSSL knows. */
function openCurve(oid: Buffer, point: Buffer): KeyObject {
  const ecPublicKey = Buffer.from('2a8648ce3d0201', 'hex');
  const algorithm = der(0x30, der(0x06, ecPublicKey), der(0x06, oid));
  return createPublicKey({
    format: 'der',
    type: 'spki',
    key: der(0x30, algorithm, der(0x03, Buffer.from([0]), point)),
  });
}

function openEdwards(oid: Buffer, point: Buffer): KeyObject {
  if (oid.toString('hex') !== ED25519_OID || point.length !== 33 || point[0] !== 0x40) {
    throw unsupported('EdDSA curve');
  }
  return createPublicKey({
    format: 'jwk',
    key: { kty: 'OKP', crv: 'Ed25519', x: point.subarray(1).toString('base64url') },
  });
}

/** Reads the public part, which may have a secret one after it, and tells how to use it. */
function readMaterial(reader: ByteReader, algorithm: number): { open(): KeyObject; bits: number } {
  const closed = (): KeyObject => {
    throw unsupported(`public key algorithm ${algorithm}`);
  };
  switch (algorithm) {
    case Algorithm.rsa:
    case Algorithm.rsaEncrypt:
    case Algorithm.rsaSign: {
      const [n, e] = [reader.mpi(), reader.mpi()];
      return { open: () => openRsa(n, e), bits: n.length === 0 ? 0 : n.length * 8 - Math.clz32(n[0]) + 24 };
    }
    case Algorithm.ecdsa:
    case Algorithm.eddsa: {
      const oid = reader.take(reader.number(1));
      const point = reader.mpi();
      return { open: () => (algorithm === Algorithm.ecdsa ? openCurve : openEdwards)(oid, point), bits: 0 };
    }
    case Algorithm.ecdh:
      reader.take(reader.number(1));
      reader.mpi();
      reader.take(reader.number(1));
      return { open: closed, bits: 0 };
    case Algorithm.dsa:
    case Algorithm.elgamal:
      for (let i = algorithm === Algorithm.dsa ? 4 : 3; i > 0; i--) reader.mpi();
      return { open: closed, bits: 0 };
    default:
      reader.take(reader.left);
      return { open: closed, bits: 0 };
  }
}

/** Throws for other versions and for what is cut short. */
export function parsePublicKey(body: Buffer): PublicKey {
  const reader = new ByteReader(body);
  const version = reader.number(1);
  if (version !== 4) throw unsupported(`public key version ${version}`);
  const created = reader.number(4);
  const algorithm = reader.number(1);
  const { open, bits } = readMaterial(reader, algorithm);
  const material = body.subarray(0, reader.position);
  const head = Buffer.from([0x99, material.length >> 8, material.length & 0xff]);
  const prefixed = Buffer.concat([head, material]);
  const fingerprint = createHash('sha1').update(prefixed).digest('hex');
  return { created, algorithm, fingerprint, id: fingerprint.slice(-16), bits, prefixed, open };
}
