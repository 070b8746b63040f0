/** A file of the Container Device Interface (github.com/cncf-tags/container-device-interface, SPEC.md): checked, as values. */

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

/** Scalars are text: what they are is for whoever reads them, as modes are written in octal. */
type FileValue = string | null | readonly FileValue[] | ReadonlyMap<string, FileValue>;

type Fields = ReadonlyMap<string, FileValue>;

/** What a parser gave. */
function fileValue(value: unknown): FileValue {
  if (value === null || value === undefined || value === '') return null;
  if (Array.isArray(value)) return value.map(fileValue);
  if (typeof value === 'object') return new Map(Object.entries(value).map(([k, v]) => [k, fileValue(v)]));
  return String(value as string | number | boolean);
}

function bad(what: string): SyntaxError {
  return new SyntaxError(`invalid CDI Spec: ${what}`);
}

function fieldsOf(value: FileValue | undefined, what: string): Fields {
  if (value === undefined || value === null) return new Map();
  if (typeof value === 'string' || !('get' in value)) throw bad(`${what} is no mapping`);
  return value;
}

function listOf(value: FileValue | undefined, what: string): readonly FileValue[] {
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

function deviceNode(value: FileValue): DeviceNode {
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

function deviceMount(value: FileValue): DeviceMount {
  const fields = fieldsOf(value, 'mounts');
  const hostPath = textOf(fields, 'hostPath');
  const containerPath = textOf(fields, 'containerPath');
  if (hostPath === '') throw bad('invalid mount, empty host path');
  if (!containerPath.startsWith('/')) throw bad('invalid mount, no absolute container path');
  const type = textOf(fields, 'type');
  return { hostPath, containerPath, options: textsOf(fields, 'options'), ...(type === '' ? {} : { type }) };
}

function deviceHook(value: FileValue): DeviceHook {
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

function editsOf(value: FileValue | undefined): ContainerEdits {
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

async function valueOf(text: string, format: 'json' | 'yaml'): Promise<FileValue> {
  if (format === 'json') return fileValue(JSON.parse(text));
  // Loaded by the few who have such files.
  const { parse } = await import('yaml');
  return fileValue(parse(text, { schema: 'failsafe' }));
}

/** Throws a SyntaxError that says what is wrong. */
export async function parseDeviceFile(text: string, format: 'json' | 'yaml'): Promise<DeviceFile> {
  const fields = fieldsOf(await valueOf(text, format), 'the file');
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
