/** Keys with what their owners say of them: users, subkeys, revocations. What is said is looked into only when it matters. */
import { BuildError, wrapError } from '../base/index.ts';
import { readArmor } from './armor.ts';
import { isSigned } from './check.ts';
import { refused } from './failure.ts';
import { readPackets, Tag } from './packets.ts';
import { parsePublicKey } from './public-key.ts';
import type { PublicKey } from './public-key.ts';
import { parseSignature, SignatureType } from './signature.ts';
import type { Signature } from './signature.ts';

interface Subject<T> {
  readonly what: T;
  readonly signatures: Signature[];
}

/** As it stands in the ring: nothing is proved yet. */
export interface Certificate {
  readonly primary: Subject<PublicKey>;
  readonly users: Subject<Buffer>[];
  readonly subkeys: Subject<PublicKey>[];
}

/** The hash of user ids and attributes begins with their kind and length. */
function prefixedUser(tag: number, body: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head[0] = tag === Tag.userId ? 0xb4 : 0xd1;
  head.writeUInt32BE(body.length, 1);
  return Buffer.concat([head, body]);
}

/** Undefined for versions and kinds that are of no use here. */
function orSkip<T>(parse: () => T): T | undefined {
  try {
    return parse();
  } catch (error) {
    if (error instanceof BuildError && error.message.startsWith('openpgp: unsupported')) return undefined;
    throw error;
  }
}

function readCertificates(bytes: Uint8Array): Certificate[] {
  const found: Certificate[] = [];
  let at: Certificate | undefined;
  let signatures: Signature[] | undefined;
  for (const { tag, body } of readPackets(bytes)) {
    if (tag === Tag.publicKey || tag === Tag.secretKey) {
      const key = orSkip(() => parsePublicKey(body));
      at = key && { primary: { what: key, signatures: [] }, users: [], subkeys: [] };
      if (at !== undefined) found.push(at);
      signatures = at?.primary.signatures;
    } else if (tag === Tag.userId || tag === Tag.userAttribute) {
      const user = { what: prefixedUser(tag, body), signatures: [] };
      at?.users.push(user);
      signatures = user.signatures;
    } else if (tag === Tag.publicSubkey || tag === Tag.secretSubkey) {
      const key = orSkip(() => parsePublicKey(body));
      const subkey = key && { what: key, signatures: [] };
      if (subkey !== undefined) at?.subkeys.push(subkey);
      signatures = subkey?.signatures;
    } else if (tag === Tag.signature && at !== undefined) {
      const signature = orSkip(() => parseSignature(body));
      // What others say of a key is of no account.
      if (signature?.issuer === at.primary.what.id) signatures?.push(signature);
    }
  }
  return found;
}

/** Throws where there is no key at all. */
export function readKeyring(armored: string): Certificate[] {
  const found: Certificate[] = [];
  for (const block of readArmor(armored)) {
    if (block.type !== 'PGP PUBLIC KEY BLOCK' && block.type !== 'PGP PRIVATE KEY BLOCK') {
      throw refused(`expected public or private key block, got: ${block.type}`);
    }
    try {
      found.push(...readCertificates(block.bytes));
    } catch (error) {
      throw wrapError(error, 'failed to read armored public key');
    }
  }
  if (found.length === 0) throw refused('failed to read armored public key: no armored data found');
  return found;
}

const isCertification = ({ type }: Signature): boolean =>
  type >= SignatureType.firstCertification && type <= SignatureType.lastCertification;

/** More that claim to be the owner's are not looked into: each costs time, and anybody can write them. */
const MAX_CLAIMS = 16;
const MAX_USERS = 32;

function newest(
  signatures: readonly Signature[],
  isGood: (s: Signature) => boolean = () => true,
): Signature | undefined {
  return signatures
    .toSorted((a, b) => b.created - a.created)
    .slice(0, MAX_CLAIMS)
    .find(isGood);
}

/** What the owner says of the whole key: by the user that is named first of all, else of the key alone. */
export function selfSignature({ primary, users }: Certificate): Signature | undefined {
  const key = primary.what;
  const said: Signature[] = [];
  for (const { what, signatures } of users.slice(0, MAX_USERS)) {
    const about = signatures.filter((s) => isCertification(s) || s.type === SignatureType.certificationRevocation);
    const last = newest(about, (s) => isSigned(key, s, key.prefixed, what));
    if (last !== undefined && isCertification(last)) said.push(last);
  }
  const first = newest(said.filter((s) => s.isPrimaryUser)) ?? newest(said);
  if (first !== undefined) return first;
  const direct = primary.signatures.filter((s) => s.type === SignatureType.directKey);
  return newest(direct, (s) => isSigned(key, s, key.prefixed));
}

/** The owner's word that the subkey is theirs; one that signs must have agreed. */
export function bindingOf({ primary }: Certificate, { what, signatures }: Subject<PublicKey>): Signature | undefined {
  const signed = [primary.what.prefixed, what.prefixed];
  const about = signatures.filter((s) => s.type === SignatureType.subkeyBinding);
  const last = newest(about, (s) => isSigned(primary.what, s, ...signed));
  const consent = last?.embedded;
  if (consent === undefined || consent.type !== SignatureType.primaryKeyBinding) return undefined;
  return isSigned(what, consent, ...signed) ? last : undefined;
}

export function revocationOf({ primary }: Certificate, subkey?: Subject<PublicKey>): Signature | undefined {
  const [type, signatures, signed] =
    subkey === undefined
      ? [SignatureType.keyRevocation, primary.signatures, [primary.what.prefixed]]
      : [SignatureType.subkeyRevocation, subkey.signatures, [primary.what.prefixed, subkey.what.prefixed]];
  const about = signatures.filter((s) => s.type === type);
  return newest(about, (s) => isSigned(primary.what, s, ...signed));
}
