/** Certificates (RFC 5280) of an authority and of the servers it stands in for, signed by node:crypto. */
import { createHash, createPrivateKey, createPublicKey, generateKeyPair, randomBytes, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { isIP } from 'node:net';
import { bits, integer, nothing, octets, oid, sequence, set, tagged, time, utf8, yes } from './der.ts';

/** PEM. */
export interface Authority {
  readonly cert: string;
  readonly key: string;
  /** The key of all servers that it stands in for: none of them leaves the daemon. */
  readonly serverKey: string;
}

/** Upstream's name: users find it in what tools print. */
const NAME = 'BuildKit exec proxy';
const KEY_BITS = 2048;
const HOUR_MS = 3_600_000;
const AUTHORITY_MS = 10 * 365 * 24 * HOUR_MS;
export const SERVER_MS = 24 * HOUR_MS;
const SHA256_WITH_RSA = sequence(oid('1.2.840.113549.1.1.11'), nothing);
const COMMON_NAME = oid('2.5.4.3');
/** What a common name may be long (RFC 5280, appendix A). */
const COMMON_NAME_CHARS = 64;

const EXTENSION = {
  subjectKey: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectNames: '2.5.29.17',
  constraints: '2.5.29.19',
  issuerKey: '2.5.29.35',
  purposes: '2.5.29.37',
} as const;
const SERVER_AUTH = oid('1.3.6.1.5.5.7.3.1');

function extension(id: string, critical: boolean, value: Uint8Array): Buffer {
  return sequence(oid(id), ...(critical ? [yes] : []), octets(value));
}

function named(name: string): Buffer {
  return name.length > COMMON_NAME_CHARS ? sequence() : sequence(set(sequence(COMMON_NAME, utf8(name))));
}

function keyId(key: KeyObject): Buffer {
  return createHash('sha256')
    .update(key.export({ type: 'spki', format: 'der' }))
    .digest()
    .subarray(0, 20);
}

/** IPv4 or IPv6 as its bytes. */
function addressBytes(address: string): Buffer {
  if (isIP(address) === 4) return Buffer.from(address.split('.').map(Number));
  // The URL standard writes an IPv4 tail as two groups.
  const [head = '', tail] = new URL(`http://[${address}]`).hostname.slice(1, -1).split('::');
  const groups = (text: string): number[] => (text === '' ? [] : text.split(':').map((g) => Number.parseInt(g, 16)));
  const [before, after] = [groups(head), groups(tail ?? '')];
  const all = [...before, ...Array.from({ length: 8 - before.length - after.length }, () => 0), ...after];
  return Buffer.from(all.flatMap((group) => [group >> 8, group & 0xff]));
}

interface Wanted {
  readonly subject: string;
  readonly publicKey: KeyObject;
  readonly serial: Uint8Array;
  readonly validMs: number;
  readonly extensions: readonly Uint8Array[];
}

/** `now` is milliseconds since 1970; certificates hold from an hour before it, for clocks that are late. */
function issue(wanted: Wanted, key: KeyObject, now: number): string {
  const body = sequence(
    tagged(0xa0, integer(Buffer.of(2))),
    integer(wanted.serial),
    SHA256_WITH_RSA,
    named(NAME),
    sequence(time(new Date(now - HOUR_MS)), time(new Date(now + wanted.validMs))),
    named(wanted.subject),
    wanted.publicKey.export({ type: 'spki', format: 'der' }),
    tagged(0xa3, sequence(...wanted.extensions)),
  );
  const whole = sequence(body, SHA256_WITH_RSA, bits(sign('sha256', body, key)));
  const lines = whole.toString('base64').match(/.{1,64}/g) as string[];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}

/** In the thread pool: it takes some 100 ms. */
function makeKey(): Promise<KeyObject> {
  return new Promise((resolve, reject) => {
    generateKeyPair('rsa', { modulusLength: KEY_BITS }, (error, _publicKey, privateKey) => {
      if (error === null) resolve(privateKey);
      else reject(error);
    });
  });
}

export async function makeAuthority(now: number): Promise<Authority> {
  const [own, server] = await Promise.all([makeKey(), makeKey()]);
  const publicKey = createPublicKey(own);
  const cert = issue(
    {
      subject: NAME,
      publicKey,
      serial: Buffer.of(1),
      validMs: AUTHORITY_MS,
      extensions: [
        extension(EXTENSION.constraints, true, sequence(yes)),
        // digitalSignature and keyCertSign.
        extension(EXTENSION.keyUsage, true, bits(Buffer.of(0x84), 2)),
        extension(EXTENSION.subjectKey, false, octets(keyId(publicKey))),
      ],
    },
    own,
    now,
  );
  const pem = (key: KeyObject): string => key.export({ type: 'pkcs8', format: 'pem' }) as string;
  return { cert, key: pem(own), serverKey: pem(server) };
}

/** For a server of this name or address, in PEM. */
export function issueFor(host: string, authority: Authority, now: number): string {
  const key = createPrivateKey(authority.key);
  const publicKey = createPublicKey(authority.serverKey);
  const name = isIP(host) === 0 ? tagged(0x82, Buffer.from(host)) : tagged(0x87, addressBytes(host));
  return issue(
    {
      subject: host,
      publicKey,
      serial: randomBytes(16),
      validMs: SERVER_MS,
      extensions: [
        // digitalSignature and keyEncipherment.
        extension(EXTENSION.keyUsage, true, bits(Buffer.of(0xa0), 5)),
        extension(EXTENSION.purposes, false, sequence(SERVER_AUTH)),
        extension(EXTENSION.issuerKey, false, sequence(tagged(0x80, keyId(createPublicKey(key))))),
        // Critical where there is no other name.
        extension(EXTENSION.subjectNames, host.length > COMMON_NAME_CHARS, sequence(name)),
      ],
    },
    key,
    now,
  );
}
