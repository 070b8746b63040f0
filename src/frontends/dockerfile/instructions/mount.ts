/** The value of `RUN --mount=`. */
import { parseSize } from '../../../base/index.ts';
import { cut, parseBool, parseCsv, quote } from '../go-text.ts';
import { textError } from '../located-error.ts';
import { withSuggestion } from '../suggest.ts';
import type { Mount, MountType } from './types.ts';

const TYPES: readonly string[] = ['bind', 'cache', 'tmpfs', 'secret', 'ssh'];
const SHARING: readonly string[] = ['shared', 'private', 'locked'];
const KEYS =
  'type from source target readonly id sharing required size mode uid gid src dst destination ro rw readwrite env';

export type Expander = (word: string) => string;

function fields(value: string): string[] {
  const list = parseCsv(value);
  if (list === undefined) throw textError('failed to parse csv mounts: parse error: invalid quoting');
  return list;
}

/** The stage or image that a mount's `from` names; empty when none. Needs no variables: none may be there. */
export function mountFrom(value: string): string {
  let from = '';
  for (const field of fields(value)) {
    const [key, text, found] = cut(field, '=');
    if (!found || key.toLowerCase() !== 'from') continue;
    const dollar = text.indexOf('$');
    if (dollar >= 0 && dollar !== text.length - 1) {
      throw textError(`'${key.toLowerCase()}' doesn't support variable expansion, define alias stage instead`);
    }
    from = text;
  }
  return from;
}

type Draft = { -readonly [K in keyof Mount]: Mount[K] };

function bool(key: string, value: string): boolean {
  const parsed = parseBool(value);
  if (parsed === undefined) throw textError(`invalid value for ${key}: ${value}`);
  return parsed;
}

function number(key: string, value: string, radix: 8 | 10): number {
  const parsed = (radix === 8 ? /^[0-7]+$/ : /^\d+$/).test(value) ? parseInt(value, radix) : NaN;
  if (!(parsed <= 0xffffffff)) throw textError(`invalid value ${value} for ${key}`);
  return parsed;
}

function setRequired(mount: Draft, key: string, required: () => boolean): void {
  if (mount.type !== 'secret' && mount.type !== 'ssh') {
    throw textError(`unexpected key '${key}' for mount type '${mount.type}'`);
  }
  mount.required = required();
}

export function parseMount(value: string, expand: Expander): Mount {
  const mount: Draft = {
    type: 'bind',
    from: '',
    source: '',
    target: '',
    readOnly: false,
    sizeLimit: 0n,
    id: '',
    sharing: '',
    required: false,
  };
  let readOnly: boolean | undefined;
  for (const field of fields(value)) {
    const [written, text, found] = cut(field, '=');
    const key = written.toLowerCase();
    if (!found) {
      if (key === 'readonly' || key === 'ro') readOnly = true;
      else if (key === 'readwrite' || key === 'rw') readOnly = false;
      else if (key === 'required') setRequired(mount, key, () => true);
      else throw textError(`invalid field '${field}' must be a key=value pair`);
      continue;
    }
    const word = expand(text);
    if (key === 'readonly' || key === 'ro') readOnly = bool(key, word);
    else if (key === 'readwrite' || key === 'rw') readOnly = !bool(key, word);
    else setField(mount, key, word, field);
  }
  mount.readOnly = readOnly ?? (mount.type !== 'cache' && mount.type !== 'tmpfs');
  check(mount);
  return mount;
}

function setField(mount: Draft, key: string, value: string, field: string): void {
  switch (key) {
    case 'type': {
      const type = value.toLowerCase();
      if (!TYPES.includes(type)) {
        throw withSuggestion(textError(`unsupported mount type ${quote(type)}`), value, TYPES, true);
      }
      mount.type = type as MountType;
      return;
    }
    case 'from':
      mount.from = value;
      return;
    case 'source':
    case 'src':
      mount.source = value;
      return;
    case 'target':
    case 'dst':
    case 'destination':
      mount.target = value;
      return;
    case 'required':
      setRequired(mount, key, () => bool(key, value));
      return;
    case 'size': {
      if (mount.type !== 'tmpfs') throw textError(`unexpected key '${key}' for mount type '${mount.type}'`);
      const size = parseSize(value);
      if (size === undefined) throw textError(`invalid value for ${key}: ${value}`);
      mount.sizeLimit = size;
      return;
    }
    case 'id':
      mount.id = value;
      return;
    case 'sharing': {
      const sharing = value.toLowerCase();
      if (!SHARING.includes(sharing)) {
        throw withSuggestion(textError(`unsupported sharing value ${quote(sharing)}`), value, SHARING, true);
      }
      mount.sharing = sharing as Mount['sharing'];
      return;
    }
    case 'mode':
      mount.mode = number(key, value, 8);
      return;
    case 'uid':
    case 'gid':
      mount[key] = number(key, value, 10);
      return;
    case 'env':
      mount.env = value;
      return;
    default:
      throw withSuggestion(textError(`unexpected key '${key}' in '${field}'`), key, KEYS.split(' '), true);
  }
}

function check(mount: Mount): void {
  if (mount.type === 'bind' || mount.type === 'tmpfs') {
    for (const key of ['mode', 'uid', 'gid'] as const) {
      if (mount[key] !== undefined) throw textError(`${key} not allowed for ${quote(mount.type)} type mounts`);
    }
  }
  if (mount.type === 'secret') {
    if (mount.from !== '') throw textError('secret mount should not have a from');
    if (mount.sharing !== '') throw textError('secret mount should not define sharing');
    if (mount.source === '' && mount.target === '' && mount.id === '') {
      throw textError('invalid secret mount. one of source, target required');
    }
    if (mount.source !== '' && mount.id !== '') throw textError("both source and id can't be set");
  }
  if (mount.sharing !== '' && mount.type !== 'cache') {
    throw textError(`invalid cache sharing set for ${mount.type} mount`);
  }
}
