/** A file of the Container Device Interface (github.com/cncf-tags/container-device-interface, SPEC.md): checked, as values. */
import { parseYaml } from './yaml.ts';
import type { YamlValue } from './yaml.ts';

export interface DeviceNode {
  readonly path: string;
  readonly hostPath: string;
  readonly type?: 'c' | 'b';
  readonly major?: number;
  readonly minor?: number;
  readonly fileMode?: number;
  readonly permissions: string;
  readonly uid?: number;
  readonly gid?: number;
}

export interface DeviceMount {
  readonly hostPath: string;
  readonly containerPath: string;
  readonly type?: string;
  readonly options: readonly string[];
}

export interface DeviceHook {
  readonly name: string;
  readonly path: string;
  readonly args: readonly string[];
  readonly env: readonly string[];
  readonly timeout?: number;
}

/** What a container gets with a device. */
export interface ContainerEdits {
  readonly env: readonly string[];
  readonly deviceNodes: readonly DeviceNode[];
  readonly mounts: readonly DeviceMount[];
  readonly hooks: readonly DeviceHook[];
  readonly additionalGids: readonly number[];
}

export interface DeviceFile {
  /** `vendor/class` */
  readonly kind: string;
  readonly annotations: ReadonlyMap<string, string>;
  readonly edits: ContainerEdits;
  readonly devices: readonly {
    readonly name: string;
    readonly annotations: ReadonlyMap<string, string>;
    readonly edits: ContainerEdits;
  }[];
}

const HOOKS = new Set(['prestart', 'createRuntime', 'createContainer', 'startContainer', 'poststart', 'poststop']);
const KIND = /^[A-Za-z](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?\/[A-Za-z](?:[A-Za-z0-9_-]*[A-Za-z0-9])?$/;
const NAME = /^[A-Za-z0-9](?:[A-Za-z0-9_.:-]*[A-Za-z0-9])?$/;

type Fields = ReadonlyMap<string, YamlValue>;

/** JSON in the form of the other. */
function fromJson(value: unknown): YamlValue {
  if (value === null || value === undefined) return null;
  if (Array.isArray(value)) return value.map(fromJson);
  if (typeof value === 'object') return new Map(Object.entries(value).map(([k, v]) => [k, fromJson(v)]));
  return String(value as string | number | boolean);
}

function bad(what: string): SyntaxError {
  return new SyntaxError(`invalid CDI Spec: ${what}`);
}

function fieldsOf(value: YamlValue | undefined, what: string): Fields {
  if (value === undefined || value === null) return new Map();
  if (!(value instanceof Map)) throw bad(`${what} is no mapping`);
  return value;
}

function listOf(value: YamlValue | undefined, what: string): readonly YamlValue[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw bad(`${what} is no list`);
  return value;
}

function textOf(fields: Fields, key: string): string {
  const value = fields.get(key) ?? '';
  if (typeof value !== 'string') throw bad(`${key} is no text`);
  return value;
}

function textsOf(fields: Fields, key: string): string[] {
  return listOf(fields.get(key), key).map((value) => {
    if (typeof value !== 'string') throw bad(`${key} has an entry that is no text`);
    return value;
  });
}

function numberOf(text: string, key: string): number {
  // Modes are written in octal.
  const value = /^0[0-7]+$/.test(text) ? parseInt(text, 8) : /^\d+$/.test(text) ? Number(text) : NaN;
  if (!Number.isSafeInteger(value)) throw bad(`${key} is no number`);
  return value;
}

function optionalNumber(fields: Fields, key: string): number | undefined {
  const text = textOf(fields, key);
  return text === '' ? undefined : numberOf(text, key);
}

function deviceNode(value: YamlValue): DeviceNode {
  const fields = fieldsOf(value, 'deviceNodes');
  const path = textOf(fields, 'path');
  if (!path.startsWith('/')) throw bad(`device node path ${JSON.stringify(path)} is not absolute`);
  const type = textOf(fields, 'type');
  if (!['', 'b', 'c', 'u'].includes(type))
    throw bad(`device ${JSON.stringify(path)}: invalid type ${JSON.stringify(type)}`);
  const permissions = textOf(fields, 'permissions') || 'rwm';
  if (!/^[rwm]{1,3}$/.test(permissions)) throw bad(`device ${JSON.stringify(path)}: invalid permissions`);
  return {
    path,
    hostPath: textOf(fields, 'hostPath') || path,
    type: type === '' ? undefined : type === 'b' ? 'b' : 'c',
    major: optionalNumber(fields, 'major'),
    minor: optionalNumber(fields, 'minor'),
    fileMode: optionalNumber(fields, 'fileMode'),
    permissions,
    uid: optionalNumber(fields, 'uid'),
    gid: optionalNumber(fields, 'gid'),
  };
}

function deviceMount(value: YamlValue): DeviceMount {
  const fields = fieldsOf(value, 'mounts');
  const hostPath = textOf(fields, 'hostPath');
  const containerPath = textOf(fields, 'containerPath');
  if (hostPath === '') throw bad('invalid mount, empty host path');
  if (!containerPath.startsWith('/')) throw bad('invalid mount, no absolute container path');
  const type = textOf(fields, 'type');
  return { hostPath, containerPath, options: textsOf(fields, 'options'), ...(type === '' ? {} : { type }) };
}

function deviceHook(value: YamlValue): DeviceHook {
  const fields = fieldsOf(value, 'hooks');
  const name = textOf(fields, 'hookName');
  const path = textOf(fields, 'path');
  if (!HOOKS.has(name)) throw bad(`invalid hook name ${JSON.stringify(name)}`);
  if (!path.startsWith('/')) throw bad(`invalid hook ${JSON.stringify(name)}, no absolute path`);
  return {
    name,
    path,
    args: textsOf(fields, 'args'),
    env: textsOf(fields, 'env'),
    timeout: optionalNumber(fields, 'timeout'),
  };
}

function editsOf(value: YamlValue | undefined): ContainerEdits {
  const fields = fieldsOf(value, 'containerEdits');
  const env = textsOf(fields, 'env');
  for (const pair of env) if (!/^[^=]+=/.test(pair)) throw bad(`invalid environment variable ${JSON.stringify(pair)}`);
  return {
    env,
    deviceNodes: listOf(fields.get('deviceNodes'), 'deviceNodes').map(deviceNode),
    mounts: listOf(fields.get('mounts'), 'mounts').map(deviceMount),
    hooks: listOf(fields.get('hooks'), 'hooks').map(deviceHook),
    additionalGids: textsOf(fields, 'additionalGids').map((text) => numberOf(text, 'additionalGids')),
  };
}

function annotationsOf(fields: Fields): Map<string, string> {
  const annotations = fieldsOf(fields.get('annotations'), 'annotations');
  return new Map([...annotations].map(([key]) => [key, textOf(annotations, key)]));
}

/** Throws a SyntaxError that says what is wrong. */
export function parseDeviceFile(text: string, format: 'json' | 'yaml'): DeviceFile {
  const fields = fieldsOf(format === 'json' ? fromJson(JSON.parse(text)) : parseYaml(text), 'the file');
  if (textOf(fields, 'cdiVersion') === '') throw bad('missing cdiVersion');
  const kind = textOf(fields, 'kind');
  if (!KIND.test(kind)) throw bad(`invalid kind ${JSON.stringify(kind)}`);
  const devices = listOf(fields.get('devices'), 'devices').map((value) => {
    const device = fieldsOf(value, 'devices');
    const name = textOf(device, 'name');
    if (!NAME.test(name)) throw bad(`invalid device name ${JSON.stringify(name)}`);
    return { name, annotations: annotationsOf(device), edits: editsOf(device.get('containerEdits')) };
  });
  if (devices.length === 0) throw bad('no devices');
  if (new Set(devices.map((d) => d.name)).size < devices.length) throw bad('a device is defined twice');
  return { kind, annotations: annotationsOf(fields), edits: editsOf(fields.get('containerEdits')), devices };
}
