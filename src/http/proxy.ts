/** Which proxy the environment names for a URL, by the rules of Go's programs (golang.org/x/net/http/httpproxy). */
import { BlockList, isIP } from 'node:net';
import { invalidArgument } from '../base/index.ts';

export type ProxyEnvironment = Readonly<Record<string, string | undefined>>;

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

function read(env: ProxyEnvironment, name: string): string {
  return env[name] || env[name.toLowerCase()] || '';
}

function family(address: string): 'ipv4' | 'ipv6' {
  return isIP(address) === 6 ? 'ipv6' : 'ipv4';
}

function inSubnet(address: string, entry: string): boolean {
  const [net, bits, ...more] = entry.split('/');
  if (more.length > 0 || isIP(net) === 0 || !/^\d{1,3}$/.test(bits) || isIP(net) !== isIP(address)) return false;
  const list = new BlockList();
  try {
    list.addSubnet(net, Number(bits), family(net));
  } catch {
    return false;
  }
  return list.check(address, family(address));
}

/** One entry of NO_PROXY: `*`, an address, a network, a domain (with what is below it), `.domain` (only that), each with an optional port. */
function exempts(entry: string, host: string, port: string): boolean {
  if (entry === '*') return true;
  if (entry.includes('/')) return isIP(host) !== 0 && inSubnet(host, entry);
  const bracketed = /^\[(.+)\](?::(\d+))?$/.exec(entry);
  const plain = bracketed ?? (isIP(entry) === 6 ? null : /^([^:]*):(\d+)$/.exec(entry));
  const name = (plain === null ? entry : plain[1]).replace(/^\*(?=\.)/, '');
  const wantedPort = plain?.[2];
  if (wantedPort !== undefined && wantedPort !== port) return false;
  if (isIP(name) !== 0) return isIP(host) !== 0 && name === host;
  if (name === '' || isIP(host) !== 0) return false;
  return name.startsWith('.') ? host.endsWith(name) : host === name || host.endsWith(`.${name}`);
}

/** Undefined: ask the server itself. Throws InvalidArgument for a variable that is no URL. */
export function proxyFor(url: URL, env: ProxyEnvironment): URL | undefined {
  const secure = url.protocol === 'https:';
  const text = read(env, secure ? 'HTTPS_PROXY' : 'HTTP_PROXY');
  if (text === '') return undefined;
  const host = url.hostname
    .replace(/^\[(.*)\]$/, '$1')
    .replace(/\.$/, '')
    .toLowerCase();
  if (host === 'localhost' || (isIP(host) !== 0 && loopback.check(host, family(host)))) return undefined;
  const port = url.port === '' ? (secure ? '443' : '80') : url.port;
  const entries = read(env, 'NO_PROXY').toLowerCase().split(',');
  if (entries.some((entry) => entry.trim() !== '' && exempts(entry.trim(), host, port))) return undefined;
  const whole = /^(https?|socks5h?):\/\//.test(text) ? text.replace(/^socks5h:/, 'socks5:') : `http://${text}`;
  if (!URL.canParse(whole)) throw invalidArgument(`invalid proxy address ${JSON.stringify(redacted(text))}`);
  return new URL(whole);
}

function redacted(text: string): string {
  return text.replace(/[^/@]*@/, '***@');
}
