/** What a build may use of this machine: options, directories, layouts, secrets, entitlements, trust. */
import { existsSync, statSync } from 'node:fs';
import { invalidArgument } from '../../base/index.ts';
import type { AuthTls, SecretSource } from '../../session/index.ts';
import { parseAttributes, parseBool, parseCsv, parsePairs } from '../attributes.ts';

const { env } = process;

/** `--opt`. A build argument without a value takes that of the environment, and is dropped when there is none. */
export function parseOpts(values: readonly string[]): Map<string, string> {
  const opts = new Map<string, string>();
  if (env.SOURCE_DATE_EPOCH !== undefined) opts.set('build-arg:SOURCE_DATE_EPOCH', env.SOURCE_DATE_EPOCH);
  const resolved: string[] = [];
  for (const value of values) {
    const name = /^build-arg:([^=]+)$/.exec(value)?.[1];
    if (name === undefined) resolved.push(value);
    else if (env[name] !== undefined) resolved.push(`${value}=${env[name]}`);
  }
  for (const [key, value] of parsePairs(resolved)) opts.set(key, value);
  return opts;
}

/** `--local name=dir`: each must be a directory. */
export function parseLocals(values: readonly string[]): Map<string, string> {
  const directories = parsePairs(values);
  for (const path of directories.values()) {
    if (!existsSync(path)) throw invalidArgument(`resolve : lstat ${path}: no such file or directory`);
    if (!statSync(path).isDirectory()) throw invalidArgument(`stat ${path}: not a directory`);
  }
  return directories;
}

/** `--oci-layout id=dir`. */
export function parseOciLayouts(values: readonly string[]): Map<string, string> {
  const layouts = new Map<string, string>();
  for (const value of values) {
    const equals = value.indexOf('=');
    if (equals < 0) {
      throw invalidArgument(`oci-layout option must be 'id=path/to/layout', instead had invalid ${value}`);
    }
    layouts.set(value.slice(0, equals), value.slice(equals + 1));
  }
  return layouts;
}

/** `--secret id=…[,type=file|env][,src=…][,env=…]`. With neither: a variable of that name, else a file. */
export function parseSecrets(values: readonly string[]): Map<string, SecretSource> {
  const secrets = new Map<string, SecretSource>();
  for (const value of values) {
    let id = '';
    let type = '';
    let file = '';
    let variable = '';
    for (const [key, v] of parseAttributes(value, (f) => `invalid field '${f}' must be a key=value pair`)) {
      if (key === 'id') id = v;
      else if (key === 'src' || key === 'source') file = v;
      else if (key === 'env') variable = v;
      else if (key === 'type') {
        if (v !== 'file' && v !== 'env') throw invalidArgument(`unsupported secret type ${JSON.stringify(v)}`);
        type = v;
      } else throw invalidArgument(`unexpected key '${key}' in '${key}=${v}'`);
    }
    if (type === 'env' && variable === '') {
      variable = file;
      file = '';
    }
    if (id === '') throw invalidArgument('secret missing ID');
    if (variable === '' && file === '') {
      if (type !== 'file' && env[id] !== undefined) variable = id;
      else file = id;
    }
    if (variable === '' && !existsSync(file)) {
      throw invalidArgument(`failed to stat ${file}: stat ${file}: no such file or directory`);
    }
    secrets.set(id, variable === '' ? { file } : { env: variable });
  }
  return secrets;
}

const ENTITLEMENTS = new Set(['network.host', 'security.insecure', 'device']);

/** `--allow`: the name, and for devices what they are. */
export function checkEntitlements(values: readonly string[]): void {
  for (const value of values) {
    const [name, ...rest] = value.split('=');
    const known = name === 'device' ? name : value;
    if (!ENTITLEMENTS.has(known)) throw invalidArgument(`unknown entitlement ${known}`);
    if (name !== 'device' || rest.length === 0) continue;
    for (const field of parseCsv(rest.join('=')).slice(1)) {
      if (!field.includes('=')) throw invalidArgument(`invalid device config ${JSON.stringify(field)}`);
      const key = field.split('=')[0];
      if (key !== 'alias') throw invalidArgument(`unknown device config key ${JSON.stringify(key)}`);
    }
  }
}

/** `--registry-auth-tlscontext host=…,ca=…,cert=…,key=…,insecure=…`; entries of one host add up. */
export function parseAuthTls(values: readonly string[]): Map<string, AuthTls> {
  const flag = '--registry-auth-tlscontext';
  const hosts = new Map<string, AuthTls>();
  for (const value of values) {
    const attrs = new Map(parseAttributes(value));
    const get = (key: string): string => attrs.get(key) ?? '';
    const [host, ca, cert, key] = [get('host'), get('ca'), get('cert'), get('key')];
    const insecure = parseBool(get('insecure')) === true;
    if (host === '') throw invalidArgument(`${flag} requires host=<host>`);
    if (ca === '') {
      if (!insecure && (cert === '' || key === '')) {
        throw invalidArgument(`${flag} requires ca=<ca> or cert=<cert>,key=<key> or insecure=true`);
      }
    } else if ((cert === '') !== (key === '')) throw invalidArgument(`${flag} requires cert=<cert>,key=<key>`);
    const had = hosts.get(host) ?? { insecure: false, ca: [], keyPairs: [] };
    hosts.set(host, {
      insecure: had.insecure || insecure,
      ca: ca === '' ? had.ca : [...had.ca, ca],
      keyPairs: cert === '' || key === '' ? had.keyPairs : [...had.keyPairs, { cert, key }],
    });
  }
  return hosts;
}
