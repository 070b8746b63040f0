/** Whether a key made a signature: the bytes go by once, nothing of them is kept. */
import { createHash, createVerify, verify } from 'node:crypto';
import { refused, unsupported } from './failure.ts';
import { Algorithm } from './public-key.ts';
import type { PublicKey } from './public-key.ts';
import { HASHES, SignatureType } from './signature.ts';
import type { Signature } from './signature.ts';

export interface SignatureCheck {
  update(bytes: Uint8Array): void;
  /** Ends it. Throws when the key did not sign these bytes. */
  finish(): void;
}

/** In a text, every line ends with CR and LF, however it was written. */
function canonicalText(next: (bytes: Uint8Array) => void): (bytes: Uint8Array) => void {
  let last = 0;
  return (bytes) => {
    const out = Buffer.allocUnsafe(bytes.length * 2);
    let length = 0;
    for (const byte of bytes) {
      if (byte === 0x0a && last !== 0x0d) out[length++] = 0x0d;
      out[length++] = byte;
      last = byte;
    }
    next(out.subarray(0, length));
  };
}

/** Numbers lose their leading zeros on the way. */
function padded(number: Buffer | undefined, length: number): Buffer {
  if (number === undefined || number.length > length) throw unsupported('signature of another size');
  return Buffer.concat([Buffer.alloc(length - number.length), number]);
}

function derInteger(number: Buffer): Buffer {
  const body = (number[0] ?? 0x80) >= 0x80 ? Buffer.concat([Buffer.from([0]), number]) : number;
  return Buffer.concat([Buffer.from([0x02, body.length]), body]);
}

function derSignature([r, s]: readonly Buffer[]): Buffer {
  if (r === undefined || s === undefined || r.length + s.length > 140) throw unsupported('signature of another size');
  const body = Buffer.concat([derInteger(r), derInteger(s)]);
  return Buffer.concat([Buffer.from(body.length < 128 ? [0x30, body.length] : [0x30, 0x81, body.length]), body]);
}

function invalid(kind: string): Error {
  return refused(`openpgp: invalid signature: ${kind} verification failure`);
}

/** Throws when the two do not belong together. */
export function checkSignature(key: PublicKey, signature: Signature): SignatureCheck {
  const hash = HASHES.get(signature.hashAlgorithm)?.node;
  if (hash === undefined) throw unsupported(`hash function ${signature.hashAlgorithm}`);
  const isRsa = key.algorithm === Algorithm.rsa || key.algorithm === Algorithm.rsaSign;
  const usesRsa = signature.keyAlgorithm === Algorithm.rsa || signature.keyAlgorithm === Algorithm.rsaSign;
  if (key.algorithm !== signature.keyAlgorithm && !(isRsa && usesRsa)) {
    throw refused('openpgp: invalid argument: public key and signature use different algorithms');
  }
  const opened = key.open();
  const { numbers, trailer } = signature;
  const wrap = (update: (bytes: Uint8Array) => void) =>
    signature.type === SignatureType.text ? canonicalText(update) : update;
  if (key.algorithm === Algorithm.eddsa) {
    const digest = createHash(hash);
    return {
      update: wrap((bytes) => void digest.update(bytes)),
      finish: () => {
        const bytes = Buffer.concat([padded(numbers[0], 32), padded(numbers[1], 32)]);
        if (!verify(null, digest.update(trailer).digest(), opened, bytes)) throw invalid('EdDSA');
      },
    };
  }
  const verifier = createVerify(hash);
  return {
    update: wrap((bytes) => void verifier.update(bytes)),
    finish: () => {
      const bytes = isRsa ? padded(numbers[0], Math.ceil(key.bits / 8)) : derSignature(numbers);
      if (!verifier.update(trailer).verify(opened, bytes)) throw invalid(isRsa ? 'RSA' : 'ECDSA');
    },
  };
}

/** Whether it is a good signature of these few bytes; one that cannot be checked is none. */
export function isSigned(key: PublicKey, signature: Signature, ...signed: readonly Uint8Array[]): boolean {
  try {
    const check = checkSignature(key, signature);
    for (const bytes of signed) check.update(bytes);
    check.finish();
    return true;
  } catch {
    return false;
  }
}
