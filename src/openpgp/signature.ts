/** Signature packets of version 4. */
import { ByteReader } from './byte-reader.ts';
import { structural, unsupported } from './failure.ts';

export const SignatureType = {
  binary: 0x00,
  text: 0x01,
  /** 0x10 to 0x13: the key is that user's. */
  firstCertification: 0x10,
  lastCertification: 0x13,
  subkeyBinding: 0x18,
  primaryKeyBinding: 0x19,
  directKey: 0x1f,
  keyRevocation: 0x20,
  subkeyRevocation: 0x28,
  certificationRevocation: 0x30,
} as const;

/** Hash algorithms by number: as Go and as node:crypto name them. */
export const HASHES = new Map<number, { readonly name: string; readonly node: string }>([
  [1, { name: 'MD5', node: 'md5' }],
  [2, { name: 'SHA-1', node: 'sha1' }],
  [3, { name: 'RIPEMD-160', node: 'ripemd160' }],
  [8, { name: 'SHA-256', node: 'sha256' }],
  [9, { name: 'SHA-384', node: 'sha384' }],
  [10, { name: 'SHA-512', node: 'sha512' }],
  [11, { name: 'SHA-224', node: 'sha224' }],
]);

/** Reason of a revocation: somebody else may have the key, and may have had it before. */
export const CODE_COMPROMISED = 2;
/** Bit of the key flags: data may be signed. */
export const FLAG_SIGN = 0x02;

export interface Signature {
  readonly type: number;
  readonly keyAlgorithm: number;
  readonly hashAlgorithm: number;
  /** Seconds since 1970. */
  readonly created: number;
  /** Seconds that it lasts; 0 is for ever. */
  readonly lifetime: number;
  /** Of the key that it is about, since that was made; 0 is for ever. */
  readonly keyLifetime: number;
  readonly flags: number | undefined;
  readonly isPrimaryUser: boolean;
  /** 16 hexadecimal digits. */
  readonly issuer: string | undefined;
  readonly revocationCode: number;
  readonly revocationReason: string;
  /** A signing subkey's consent to be one. */
  readonly embedded: Signature | undefined;
  /** What is hashed of the packet itself, after what is signed. */
  readonly trailer: Buffer;
  readonly numbers: readonly Buffer[];
}

type Notes = { -readonly [K in keyof Signature]?: Signature[K] };

/** Types that change nothing here: who else may revoke, preferences, policies, targets. */
const HARMLESS = new Set([4, 5, 6, 7, 10, 11, 12, 21, 22, 23, 24, 26, 28, 30, 31, 34, 35, 39]);

function subpacketLength(reader: ByteReader): number {
  const first = reader.number(1);
  if (first < 192) return first;
  return first === 255 ? reader.number(4) : ((first - 192) << 8) + reader.number(1) + 192;
}

function readSubpackets(
  bytes: Buffer,
  area: { readonly hashed: boolean; readonly embedded: boolean },
  notes: Notes,
): void {
  const reader = new ByteReader(bytes);
  while (reader.left > 0) {
    const body = new ByteReader(reader.take(subpacketLength(reader)));
    const head = body.number(1);
    const isCritical = (head & 0x80) !== 0;
    const type = head & 0x7f;
    // Anybody can write into the other area: only what is proved otherwise is taken from there.
    if (type === 16) notes.issuer ??= body.take(8).toString('hex');
    else if (type === 33 && body.number(1) === 4) notes.issuer ??= body.take(20).subarray(12).toString('hex');
    else if (type === 32 && !area.embedded) notes.embedded = parseSignature(body.take(body.left), true);
    else if (area.hashed && type !== 32 && type !== 33) readHashed(type, body, isCritical, notes);
  }
}

function readHashed(type: number, body: ByteReader, isCritical: boolean, notes: Notes): void {
  if (type === 2) notes.created = body.number(4);
  else if (type === 3) notes.lifetime = body.number(4);
  else if (type === 9) notes.keyLifetime = body.number(4);
  else if (type === 25) notes.isPrimaryUser = body.number(1) !== 0;
  else if (type === 27) notes.flags = body.left > 0 ? body.number(1) : 0;
  else if (type === 29) {
    notes.revocationCode = body.number(1);
    notes.revocationReason = body.take(body.left).toString('utf8');
  } else if (isCritical && !HARMLESS.has(type)) {
    throw unsupported(`unknown critical signature subpacket type ${type}`);
  }
}

/** Throws for other versions and for what is cut short. An embedded one has none in itself. */
export function parseSignature(body: Buffer, embedded = false): Signature {
  const reader = new ByteReader(body);
  const version = reader.number(1);
  if (version !== 4) throw unsupported(`signature packet version ${version}`);
  const [type, keyAlgorithm, hashAlgorithm] = reader.take(3);
  const hashed = reader.take(reader.number(2));
  const head = body.subarray(0, reader.position);
  const length = Buffer.alloc(6);
  length.writeUInt16BE(0x04ff);
  length.writeUInt32BE(head.length, 2);
  const notes: Notes = {};
  readSubpackets(hashed, { hashed: true, embedded }, notes);
  readSubpackets(reader.take(reader.number(2)), { hashed: false, embedded }, notes);
  if (notes.created === undefined) throw structural('no creation time in signature');
  reader.take(2); // the first bytes of the digest, for those in a hurry
  const numbers: Buffer[] = [];
  while (reader.left > 0) numbers.push(reader.mpi());
  return {
    type,
    keyAlgorithm,
    hashAlgorithm,
    created: notes.created,
    lifetime: notes.lifetime ?? 0,
    keyLifetime: notes.keyLifetime ?? 0,
    flags: notes.flags,
    isPrimaryUser: notes.isPrimaryUser ?? false,
    issuer: notes.issuer,
    revocationCode: notes.revocationCode ?? 0,
    revocationReason: notes.revocationReason ?? '',
    embedded: notes.embedded,
    trailer: Buffer.concat([head, length]),
    numbers,
  };
}
