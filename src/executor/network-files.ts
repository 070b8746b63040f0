/** The files that tell a process in a container about names: /etc/resolv.conf and /etc/hosts. */
import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { invalidArgument } from '../base/index.ts';
import type { ProcessMeta } from './types.ts';

export interface DnsConfig {
  readonly nameservers: readonly string[];
  readonly options: readonly string[];
  readonly searchDomains: readonly string[];
}

export const DEFAULT_HOSTNAME = 'buildkitsandbox';

const HOST_FILE = '/etc/resolv.conf';
/** What systemd-resolved knows, where the host's own file names only its stub listener. */
const RESOLVED_FILE = '/run/systemd/resolve/resolv.conf';
const STUB = '127.0.0.53';
/** Google's, as upstream takes where the host's servers can't be reached from a container. */
const FALLBACK = ['8.8.8.8', '8.8.4.4', '2001:4860:4860::8888', '2001:4860:4860::8844'];

interface ResolvConf {
  nameservers: string[];
  search: string[];
  options: string[];
  readonly other: string[];
}

export function parseResolvConf(text: string): ResolvConf {
  const conf: ResolvConf = { nameservers: [], search: [], options: [], other: [] };
  for (const raw of text.split('\n')) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#') || line.startsWith(';')) continue;
    const [word, ...rest] = line.split(/\s+/);
    if (word === 'nameserver' && rest[0] !== undefined) conf.nameservers.push(rest[0]);
    else if (word === 'search' || word === 'domain') conf.search = rest;
    else if (word === 'options') conf.options.push(...rest);
    else conf.other.push(line);
  }
  return conf;
}

function isLoopback(server: string): boolean {
  return server.startsWith('127.') || server.split('%')[0] === '::1';
}

/** The text for a container whose network is the host's by the op's own wish, or any other. */
export function makeResolvConf(host: string, network: ProcessMeta['network'], dns: DnsConfig | undefined): string {
  const conf = parseResolvConf(host);
  if (dns !== undefined) {
    const bad = dns.nameservers.find((server) => isIP(server.split('%')[0] as string) === 0);
    if (bad !== undefined) throw invalidArgument(`bad nameserver address: ${JSON.stringify(bad)}`);
    if (dns.nameservers.length > 0) conf.nameservers = [...dns.nameservers];
    if (dns.searchDomains.length > 0) conf.search = [...dns.searchDomains];
    if (dns.options.length > 0) conf.options = [...dns.options];
  }
  if (network !== 'host' || conf.nameservers.length === 0) {
    conf.nameservers = conf.nameservers.filter((server) => !isLoopback(server));
    if (conf.nameservers.length === 0) conf.nameservers = FALLBACK;
  }
  const lines = conf.nameservers.map((server) => `nameserver ${server}`);
  if (conf.search.length > 0 && conf.search.join('') !== '.') lines.push(`search ${conf.search.join(' ')}`);
  if (conf.options.length > 0) lines.push(`options ${conf.options.join(' ')}`);
  return `${[...lines, ...conf.other].join('\n')}\n`;
}

async function readIfThere(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}

export async function resolvConfFor(network: ProcessMeta['network'], dns: DnsConfig | undefined): Promise<string> {
  let host = await readIfThere(HOST_FILE);
  const servers = parseResolvConf(host).nameservers;
  if (network !== 'host' && servers.length === 1 && servers[0] === STUB) host = await readIfThere(RESOLVED_FILE);
  return makeResolvConf(host, network, dns);
}

export function makeHosts(meta: Pick<ProcessMeta, 'hostname' | 'extraHosts'>): string {
  if (/[\s\0]/.test(meta.hostname)) throw invalidArgument(`invalid host name ${JSON.stringify(meta.hostname)}`);
  const lines = [
    `127.0.0.1\tlocalhost ${meta.hostname === '' ? DEFAULT_HOSTNAME : meta.hostname}`,
    '::1\tlocalhost ip6-localhost ip6-loopback',
  ];
  for (const { host, ip } of meta.extraHosts) {
    if (isIP(ip) === 0)
      throw invalidArgument(`failed to parse IP ${JSON.stringify(ip)} of host ${JSON.stringify(host)}`);
    if (/[\s\0]/.test(host) || host === '') throw invalidArgument(`invalid host name ${JSON.stringify(host)}`);
    lines.push(`${ip}\t${host}`);
  }
  return `${lines.join('\n')}\n`;
}
