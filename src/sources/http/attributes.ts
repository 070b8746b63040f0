/** What the attributes of an HTTP source say, and the texts that identify it. */
import { invalidArgument } from '../../base/index.ts';
import type { TimeNs } from '../../base/index.ts';
import { formatHttpDate } from '../../http/index.ts';
import { digestOf, goJson, parseChecksum } from '../../oci/index.ts';
import type { Digest } from '../../oci/index.ts';
import type { SourceRequest } from '../types.ts';

export interface HeaderField {
  /** As Go writes it: `User-Agent`. */
  readonly name: string;
  readonly value: string;
}

export interface HttpSource extends FileAttrs {
  readonly url: string;
  /** sha256, sha384 or sha512; undefined: whatever the server sends. */
  readonly checksum: string | undefined;
  /** The id of a secret that is the Authorization header; '' for none. */
  readonly authHeaderSecret: string;
  /** By name. */
  readonly header: readonly HeaderField[];
  readonly signature: { readonly pubKey: string; readonly signature: string } | undefined;
}

const HEADER_PREFIX = 'http.header.';
/** Others are dropped in silence, as upstream does. */
const HEADERS = new Map([
  ['accept', 'Accept'],
  ['user-agent', 'User-Agent'],
]);
const MAX_ID = 0xffff_fffe;

/** Go's strconv.ParseInt with base 0, in its words. */
function parseInteger(text: string): bigint {
  const bad = (why: string): Error => invalidArgument(`strconv.ParseInt: parsing ${JSON.stringify(text)}: ${why}`);
  const [, sign, prefix, body] = /^([+-]?)(0[xX]|0[bB]|0[oO]|0(?=[\d_]))?(\w+)$/.exec(text) ?? [];
  const radix = /^0[xX]$/.test(prefix ?? '') ? 16 : /^0[bB]$/.test(prefix ?? '') ? 2 : prefix === undefined ? 10 : 8;
  const digits = { 2: /^[01]+$/, 8: /^[0-7]+$/, 10: /^\d+$/, 16: /^[\da-f]+$/i }[radix] as RegExp;
  const separated = prefix === undefined ? body : body.replace(/^_/, '');
  if (separated === undefined || /^_|__|_$/.test(separated)) throw bad('invalid syntax');
  const plain = separated.replaceAll('_', '');
  if (!digits.test(plain)) throw bad('invalid syntax');
  const names: Readonly<Record<number, string>> = { 2: '0b', 8: '0o', 10: '', 16: '0x' };
  const value = BigInt(`${names[radix]}${plain}`) * (sign === '-' ? -1n : 1n);
  if (BigInt.asIntN(64, value) !== value) throw bad('value out of range');
  return value;
}

function bounded(key: string, text: string | undefined, max: number): number {
  if (text === undefined) return 0;
  const value = parseInteger(text);
  if (value < 0n || value > BigInt(max)) throw invalidArgument(`invalid value for ${key}: ${text} is out of range`);
  return Number(value);
}

/** What two readers could take for different hosts or paths is refused, as Go's net/url does; policies go by the text. */
function checkUrl(url: string): void {
  const bad = (why: string): Error => invalidArgument(`parse ${JSON.stringify(url)}: ${why}`);
  // oxlint-disable-next-line no-control-regex
  if (/[\u0000-\u001f\u007f]/.test(url)) throw bad('net/url: invalid control character in URL');
  const [, authority, path] = /^\w+:\/\/([^/?#]*)([^?#]*)/.exec(url) ?? [];
  if (authority === undefined || /[\s\\]/.test(authority)) throw bad('invalid character in host name');
  if (authority === '') throw invalidArgument(`Get "${url}": http: no Host in request URL`);
  const [escape] = /%(?![0-9a-fA-F]{2}).{0,2}/.exec(path) ?? [];
  if (escape !== undefined) throw bad(`invalid URL escape "${escape}"`);
  if (!URL.canParse(url)) throw bad('invalid URL');
}

/** What becomes of a file that is downloaded. */
export interface FileAttrs {
  /** '' where the source has one of its own. */
  readonly filename: string;
  /** 0 for 0600. */
  readonly perm: number;
  readonly uid: number;
  readonly gid: number;
}

/** Throws InvalidArgument. */
export function parseFileAttrs(attrs: ReadonlyMap<string, string>): FileAttrs {
  return {
    filename: attrs.get('http.filename') ?? '',
    perm: bounded('http.perm', attrs.get('http.perm'), 0o777),
    uid: bounded('http.uid', attrs.get('http.uid'), MAX_ID),
    gid: bounded('http.gid', attrs.get('http.gid'), MAX_ID),
  };
}

/** Throws InvalidArgument. */
export function parseHttpSource({ scheme, ref, attrs }: Pick<SourceRequest, 'scheme' | 'ref' | 'attrs'>): HttpSource {
  const url = `${scheme}://${ref}`;
  checkUrl(url);
  const checksum = attrs.get('http.checksum');
  const header: HeaderField[] = [];
  for (const [key, value] of attrs) {
    const name = key.startsWith(HEADER_PREFIX) ? HEADERS.get(key.slice(HEADER_PREFIX.length).toLowerCase()) : undefined;
    if (name !== undefined) header.push({ name, value });
  }
  const pubKey = attrs.get('http.sig.pubkey') ?? '';
  const signature = attrs.get('http.sig.signature') ?? '';
  if ((pubKey === '') !== (signature === '')) {
    throw invalidArgument('http signature verification requires both pubkey and signature');
  }
  return {
    url,
    checksum: checksum === undefined ? undefined : parseChecksum(checksum),
    ...parseFileAttrs(attrs),
    authHeaderSecret: attrs.get('http.authheadersecret') ?? '',
    header: header.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0)),
    signature: pubKey === '' ? undefined : { pubKey, signature },
  };
}

/** Under what downloads of it are kept: whoever asks for the same file in the same way finds them. Not seen outside. */
export function keepingKey(source: HttpSource): string {
  const { url, filename, perm, uid, gid, authHeaderSecret, header } = source;
  const fields = header.map(({ name, value }) => [name, value]);
  return `http:${digestOf(JSON.stringify([url, filename, perm, uid, gid, authHeaderSecret, fields]))}`;
}

/** Upstream's (source/http), byte for byte: caches that other builders made are found by it. */
export function contentKey(source: HttpSource, name: string, checksum: string, lastModified?: TimeNs): Digest {
  const { perm, uid, gid, authHeaderSecret, header } = source;
  return digestOf(
    goJson({
      Filename: name,
      Perm: perm,
      UID: uid,
      GID: gid,
      Checksum: checksum,
      LastModTime: lastModified === undefined ? undefined : formatHttpDate(lastModified),
      AuthHeaderSecret: authHeaderSecret === '' ? undefined : authHeaderSecret,
      Header: header.length === 0 ? undefined : header.map(({ name: Name, value: Value }) => ({ Name, Value })),
    }),
  );
}
