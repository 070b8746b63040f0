/** Where a registry's API is to be found: mirrors first, then the registry itself, each with the schemes that may be tried. */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { invalidArgument } from '../base/index.ts';
import type { TlsOptions } from '../http/index.ts';
import type { RegistryHostConfig } from './types.ts';

export interface Endpoint {
  /** `https://registry-1.docker.io` */
  readonly origin: string;
  /** With the port. */
  readonly host: string;
  /** `/v2`, or a mirror's path below it. */
  readonly path: string;
  /** The registry that a mirror stands in for. */
  readonly namespace?: string;
  /** It is no registry: this is where the one blob is. */
  readonly url?: string;
  readonly tls: TlsOptions;
}

export interface HostConfigs {
  readonly hosts: ReadonlyMap<string, RegistryHostConfig>;
}

function isLocalhost(host: string): boolean {
  const name = host.replace(/:\d+$/, '');
  return name === 'localhost' || name === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(name);
}

function read(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw invalidArgument(`failed to read ${path}: ${(error as Error).message}`, { cause: error });
  }
}

/** Docker's layout of certificate folders: `*.crt` are authorities, `x.cert` with `x.key` is a pair of the client's. */
function readConfigDir(dir: string, ca: Buffer[], keypairs: { key: Buffer; cert: Buffer }[]): void {
  let names: string[];
  try {
    names = readdirSync(dir);
  } catch {
    return;
  }
  for (const name of names) {
    if (name.endsWith('.crt')) ca.push(read(join(dir, name)));
    if (name.endsWith('.cert'))
      keypairs.push({ cert: read(join(dir, name)), key: read(join(dir, `${name.slice(0, -5)}.key`)) });
  }
}

function tlsOf(config: RegistryHostConfig, insecure: boolean): TlsOptions {
  const ca = (config.ca ?? []).map(read);
  const keypairs = (config.keypairs ?? []).map((p) => ({ key: read(p.key), cert: read(p.cert) }));
  for (const dir of config.tlsConfigDirs ?? []) readConfigDir(dir, ca, keypairs);
  return { insecure, ca, keypairs };
}

function schemes(host: string, path: string, config: RegistryHostConfig, namespace: string | undefined): Endpoint[] {
  const at = (scheme: string, insecure: boolean): Endpoint => ({
    origin: `${scheme}://${host}`,
    host,
    path,
    tls: tlsOf(config, insecure),
    ...(namespace === undefined ? {} : { namespace }),
  });
  const found: Endpoint[] = [];
  // A server for TLS has an answer to plain requests, and it is no help: it is asked for TLS first.
  if (config.insecure) found.push(at('https', true));
  if (config.http ?? isLocalhost(host)) found.push(at('http', false));
  if (found.length === 0 || (config.http === undefined && !config.insecure)) found.push(at('https', false));
  return found;
}

/** In the order in which they are tried. `push` and `insecure` leave mirrors out; `insecure` allows anything for this registry. */
export function endpointsOf(
  configs: HostConfigs,
  domain: string,
  options: { push: boolean; insecure?: boolean },
): Endpoint[] {
  const config = configs.hosts.get(domain) ?? {};
  const found: Endpoint[] = [];
  for (const mirror of options.push || options.insecure ? [] : (config.mirrors ?? [])) {
    const [host, ...rest] = mirror.replace(/^https?:\/\//, '').split('/');
    const path = ['/v2', ...rest.filter((p) => p !== '')].join('/');
    found.push(...schemes(host, path, configs.hosts.get(host) ?? {}, domain));
  }
  const own = options.insecure ? { ...config, http: true, insecure: true } : config;
  found.push(...schemes(domain === 'docker.io' ? 'registry-1.docker.io' : domain, '/v2', own, undefined));
  return found;
}

/** Where a foreign layer says that it is. What is no address of HTTP is left out. */
export function foreignEndpoints(configs: HostConfigs, urls: readonly string[]): Endpoint[] {
  return urls.flatMap((text): Endpoint[] => {
    const url = URL.parse(text);
    if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) return [];
    const { href, origin, host } = url;
    return [{ origin, host, path: '', url: href, tls: tlsOf(configs.hosts.get(host) ?? {}, false) }];
  });
}
