/** A detached signature is held against the keys that may have made it. */
import { wrapError } from '../base/index.ts';
import { readArmor } from './armor.ts';
import { checkSignature } from './check.ts';
import { refused, structural } from './failure.ts';
import { bindingOf, readKeyring, revocationOf, selfSignature } from './keyring.ts';
import type { Certificate } from './keyring.ts';
import { readPackets, Tag } from './packets.ts';
import { Algorithm } from './public-key.ts';
import type { PublicKey } from './public-key.ts';
import { CODE_COMPROMISED, FLAG_SIGN, HASHES, parseSignature, SignatureType } from './signature.ts';
import type { Signature } from './signature.ts';

export interface DetachedSignature {
  readonly signed: AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
  /** Armored. */
  readonly signature: string;
  /** Armored blocks, one or more. */
  readonly keys: string;
  /** Keys must not have expired by now; otherwise by the time that the signature was made. */
  readonly rejectExpiredKeys?: boolean;
}

/** A key that is allowed to sign, with what its owner said of it. */
interface Signer {
  readonly certificate: Certificate;
  readonly key: PublicKey;
  readonly self: Signature;
  readonly binding: Signature | undefined;
  readonly revocation: Signature | undefined;
}

const STRONG = new Set([8, 9, 10]);
const ALGORITHMS = new Set<number>([Algorithm.rsa, Algorithm.rsaSign, Algorithm.ecdsa, Algorithm.eddsa]);
const MIN_RSA_BITS = 2048;
const CLOCK_SKEW_S = 300;
/** So many keys of one id, and signatures of one file, are tried. */
const MAX_SIGNERS = 8;

function readSignatures(armored: string): Signature[] {
  const [block] = readArmor(armored);
  if (block === undefined) throw refused('failed to decode armored signature: EOF');
  const found: Signature[] = [];
  for (const { tag, body } of readPackets(block.bytes)) if (tag === Tag.signature) found.push(parseSignature(body));
  if (found.length === 0) throw refused('no signature packet found');
  return found;
}

/** What is weak by today's lights is refused, whoever made it. */
function checkStrength(signature: Signature): void {
  const { hashAlgorithm, keyAlgorithm, type } = signature;
  if (!STRONG.has(hashAlgorithm)) {
    const name = HASHES.get(hashAlgorithm)?.name ?? `unknown hash value ${hashAlgorithm}`;
    throw refused(`rejecting weak/unknown hash: ${name}`);
  }
  if (!ALGORITHMS.has(keyAlgorithm)) throw refused(`rejecting unsupported pubkey algorithm: ${keyAlgorithm}`);
  if (type !== SignatureType.binary && type !== SignatureType.text) throw structural(`signature type ${type} of data`);
}

/** Keys of that id whose owners say that they sign. */
function* signersOf(certificates: readonly Certificate[], issuer: string): Generator<Signer> {
  for (const certificate of certificates) {
    const { primary, subkeys } = certificate;
    const isPrimary = primary.what.id === issuer;
    const matching = subkeys.filter(({ what }) => what.id === issuer);
    const self = isPrimary || matching.length > 0 ? selfSignature(certificate) : undefined;
    if (self === undefined) continue;
    const whole = revocationOf(certificate);
    if (isPrimary && signs(self)) {
      yield { certificate, key: primary.what, self, binding: undefined, revocation: whole };
    }
    for (const subkey of matching.slice(0, MAX_SIGNERS)) {
      const binding = bindingOf(certificate, subkey);
      if (binding === undefined || !signs(binding)) continue;
      yield { certificate, key: subkey.what, self, binding, revocation: whole ?? revocationOf(certificate, subkey) };
    }
  }
}

function signs({ flags = 0 }: Signature): boolean {
  return (flags & FLAG_SIGN) !== 0;
}

/** Each key once: the same may stand in the ring twice. */
function findSigners(certificates: readonly Certificate[], issuer: string): Signer[] {
  const found = new Map<string, Signer>();
  for (const signer of signersOf(certificates, issuer)) {
    found.set(signer.key.fingerprint, signer);
    if (found.size === MAX_SIGNERS) break;
  }
  return [...found.values()];
}

function hasExpired(created: number, lifetime: number, now: number): boolean {
  return created > now || (lifetime !== 0 && now > created + lifetime);
}

/** Throws when the key, or the signature, does not count at that time. */
function checkTimes({ certificate, key, self, binding, revocation }: Signer, signature: Signature, at: number): void {
  if (revocation !== undefined && (revocation.revocationCode === CODE_COMPROMISED || revocation.created <= at)) {
    throw refused('openpgp: signature made by revoked key');
  }
  const primary = certificate.primary.what;
  const isOld = binding !== undefined && hasExpired(key.created, binding.keyLifetime, at);
  if (isOld || hasExpired(primary.created, self.keyLifetime, at)) throw refused('openpgp: key expired');
  if (hasExpired(signature.created, signature.lifetime, at)) throw refused('openpgp: signature expired');
}

/** Who made one of the signatures. Throws when nobody of the ring did, or when it does not count at that time. */
async function findSigner(
  signed: DetachedSignature['signed'],
  signatures: readonly Signature[],
  certificates: readonly Certificate[],
  at: (signature: Signature) => number,
): Promise<{ signer: Signer; signature: Signature }> {
  for (const signature of signatures.slice(0, MAX_SIGNERS)) {
    if (signature.issuer === undefined) throw structural("signature doesn't have an issuer");
    const signers = findSigners(certificates, signature.issuer);
    if (signers.length === 0) continue;
    checkStrength(signature);
    const checks = signers.map((signer) => checkSignature(signer.key, signature));
    for await (const bytes of signed) for (const check of checks) check.update(bytes);
    let failure: unknown;
    for (const [i, check] of checks.entries()) {
      try {
        check.finish();
      } catch (error) {
        failure = error;
        continue;
      }
      checkTimes(signers[i], signature, at(signature));
      return { signer: signers[i], signature };
    }
    throw failure;
  }
  throw refused('openpgp: signature made by unknown entity');
}

/** What holds whenever the signature was made. */
function checkToday({ certificate, key }: Signer, signature: Signature, now: number): void {
  const revocation = revocationOf(certificate);
  if (revocation !== undefined) {
    const { revocationReason } = revocation;
    throw refused(`key revoked${revocationReason === '' ? '' : `: ${revocationReason}`}`);
  }
  for (const { bits } of [certificate.primary.what, key]) {
    if (bits !== 0 && bits < MIN_RSA_BITS) throw refused(`RSA key too short: ${bits} bits`);
  }
  if (signature.created > now + CLOCK_SKEW_S) {
    const at = new Date(signature.created * 1000).toISOString();
    throw refused(`signature creation time is in the future: ${at}`);
  }
}

/** Throws unless one of the keys signed the bytes and may do so. Reads all of them, keeps none. */
export async function verifyDetached(request: DetachedSignature): Promise<void> {
  const signatures = readSignatures(request.signature);
  const certificates = readKeyring(request.keys);
  const [first] = signatures;
  checkStrength(first);
  const now = Math.floor(Date.now() / 1000);
  const at = request.rejectExpiredKeys === true ? () => now : (signature: Signature) => signature.created;
  let found: { signer: Signer; signature: Signature };
  try {
    found = await findSigner(request.signed, signatures, certificates, at);
  } catch (error) {
    throw first.issuer === undefined ? error : wrapError(error, `signature by ${first.issuer.toUpperCase()}`);
  }
  checkToday(found.signer, found.signature, now);
}
