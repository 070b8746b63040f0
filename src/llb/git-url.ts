/**
 * The addresses of git repositories, as clients write them: URLs and `user@host:path`, with `#ref:subdir` and `?query` behind.
 * Taken apart and put together as Go's net/url does: what comes out is part of digests and cache keys.
 */
import { posix } from 'node:path';
import { invalidArgument } from '../base/index.ts';

export interface GitUrl {
  /** In small letters: `http`, `https`, `ssh` or `git`. */
  readonly scheme: string;
  /** With the port. */
  readonly host: string;
  /** Decoded. */
  readonly path: string;
  /** The URL for git: without fragment and query. */
  readonly remote: string;
  /** What follows `?`, as it is written. */
  readonly query: string;
  /** Of the fragment. */
  readonly ref: string;
  readonly subdir: string;
}

const MASK = 'xxxxx';
const SCHEMES = new Set(['http', 'https', 'ssh', 'git']);
const SCHEME = /^([a-zA-Z0-9]+):\/\//;
const SCP = /^([a-zA-Z0-9-_]+)@([a-zA-Z0-9-.]+):(.*?)(?:\?(.*?))?(?:#(.*))?$/;

/** Go leaves these of a path as they are when it has to encode the rest. */
const PATH_SAFE = /[A-Za-z0-9\-_.~$&+,/:;=@]/;
/** A path of these alone is kept as it was written. */
const VALID_PATH = /^(?:[A-Za-z0-9\-_.~!$&'()*+,;=:@[\]/]|%[0-9a-fA-F]{2})*$/;
const USER_SAFE = /[A-Za-z0-9\-_.~$&+,;=]/;
const VALID_USER = /^[A-Za-z0-9\-._:~!$&'()*+,;=%@]*$/;

/** Throws with Go's words. */
function decode(text: string): string {
  const bad = /%(?![0-9a-fA-F]{2}).{0,2}/su.exec(text);
  if (bad !== null) throw new Error(`invalid URL escape "${bad[0]}"`);
  const bytes: number[] = [];
  for (let i = 0; i < text.length;) {
    if (text[i] === '%') {
      bytes.push(parseInt(text.slice(i + 1, i + 3), 16));
      i += 3;
    } else {
      const char = String.fromCodePoint(text.codePointAt(i) as number);
      bytes.push(...Buffer.from(char));
      i += char.length;
    }
  }
  return Buffer.from(bytes).toString('utf8');
}

function encode(text: string, safe: RegExp): string {
  let out = '';
  for (const byte of Buffer.from(text)) {
    const char = String.fromCharCode(byte);
    out += byte < 0x80 && safe.test(char) ? char : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return out;
}

function cut(text: string, separator: string): [before: string, after: string | undefined] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}

/** Go's path.Join("/", path). */
function rooted(path: string): string {
  const joined = posix.join('/', path);
  return joined.length > 1 ? joined.replace(/\/$/, '') : joined;
}

function splitFragment(fragment: string): { ref: string; subdir: string } {
  const [ref, subdir] = cut(fragment, ':');
  return { ref, subdir: rooted(subdir ?? '').slice(1) };
}

function checkHost(host: string): void {
  const port = /:([^\]]*)$/.exec(host);
  if (port !== null && !/^\d*$/.test(port[1])) throw new Error(`invalid port "${port[0]}" after host`);
  const escape = /%.{0,2}/su.exec(host);
  if (escape !== null) throw new Error(`invalid URL escape "${escape[0]}"`);
  const bad = /[\s"<>\\^`{|}]/.exec(host);
  if (bad !== null) throw new Error(`invalid character ${JSON.stringify(bad[0])} in host name`);
  if (host.startsWith('[') && !host.includes(']')) throw new Error("missing ']' in host");
}

/** `user:password`, encoded again. */
function userInfo(written: string): string {
  if (!VALID_USER.test(written)) throw new Error('net/url: invalid userinfo');
  const [name, password] = cut(written, ':');
  const parts = password === undefined ? [name] : [name, password];
  return parts.map((part) => encode(decode(part), USER_SAFE)).join(':');
}

function splitUrl(text: string, scheme: string): GitUrl {
  // oxlint-disable-next-line no-control-regex
  if (/[\x00-\x1f\x7f]/.test(text)) throw new Error('net/url: invalid control character in URL');
  const [beforeFragment, fragment = ''] = cut(text, '#');
  const [base, query] = cut(beforeFragment, '?');
  const rest = base.slice(scheme.length + '://'.length);
  const slash = rest.indexOf('/');
  const authority = slash < 0 ? rest : rest.slice(0, slash);
  const rawPath = slash < 0 ? '' : rest.slice(slash);
  const at = authority.lastIndexOf('@');
  const host = authority.slice(at + 1);
  const user = at < 0 ? '' : `${userInfo(authority.slice(0, at))}@`;
  checkHost(host);
  const path = decode(rawPath);
  const shownPath = VALID_PATH.test(rawPath) ? rawPath : encode(path, PATH_SAFE);
  const small = scheme.toLowerCase();
  // An empty query stays, as a bare question mark.
  const mark = query === '' ? '?' : '';
  return {
    scheme: small,
    host,
    path,
    remote: `${small}://${user}${host}${shownPath}${mark}`,
    query: query ?? '',
    ...splitFragment(decode(fragment)),
  };
}

/** Whether the text names a protocol that git speaks here: one of the schemes, or `user@host:path`. */
export function isGitTransport(text: string): boolean {
  const scheme = SCHEME.exec(text)?.[1];
  return scheme === undefined ? SCP.test(text) : SCHEMES.has(scheme.toLowerCase());
}

/** undefined: no address of a kind known here (`unknown protocol`). Throws InvalidArgument for one that is wrong. */
export function parseGitUrl(text: string): GitUrl | undefined {
  const scheme = SCHEME.exec(text)?.[1];
  if (scheme !== undefined) {
    if (!SCHEMES.has(scheme.toLowerCase())) throw invalidArgument(`${scheme.toLowerCase()}: invalid protocol`);
    try {
      return splitUrl(text, scheme);
    } catch (error) {
      throw invalidArgument(`parse ${JSON.stringify(text)}: ${(error as Error).message}`, { cause: error });
    }
  }
  const scp = SCP.exec(text);
  if (scp === null) return undefined;
  const [, user, host, path, query = '', fragment = ''] = scp;
  return { scheme: 'ssh', host, path, remote: `${user}@${host}:${path}`, query, ...splitFragment(fragment) };
}

/** `git://host/path#ref:subdir`: one name for a repository, whatever protocol it is reached by. */
export function gitIdentifier(remote: string, ref: string, subdir: string): string {
  let name = remote;
  try {
    const url = parseGitUrl(remote);
    if (url !== undefined) name = url.host + rooted(url.path);
  } catch {
    // What cannot be taken apart stands for itself; git will say what is wrong with it.
  }
  if (ref === '' && subdir === '') return `git://${name}`;
  return `git://${name}#${ref}${subdir === '' ? '' : `:${subdir}`}`;
}

/** The URL without its user name and password, for people to see (`xxxxx` stands for each). */
export function redactCredentials(url: string): string {
  return url.replace(/^([a-zA-Z][a-zA-Z0-9+.-]*:\/\/)([^/?#]*)@/, (_, scheme: string, user: string) => {
    const [name, password] = cut(user, ':');
    const shown = [name === '' ? '' : MASK, ...(password === undefined ? [] : [MASK])];
    return `${scheme}${shown.join(':')}@`;
  });
}
