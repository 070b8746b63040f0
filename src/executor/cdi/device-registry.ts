/** The devices that files in some folders describe, by `vendor/class=name`. */
import { readdir, readFile, stat } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { BuildError, Code, logger } from '../../base/index.ts';
import { parseDeviceFile } from './device-file.ts';
import type { ContainerEdits, DeviceFile } from './device-file.ts';

export interface Device {
  readonly name: string;
  /** Builds may have it without asking for it. */
  readonly autoAllow: boolean;
  readonly annotations: ReadonlyMap<string, string>;
}

export interface DeviceRequest {
  /** `vendor/class=name`, `vendor/class=*`, `vendor/class` for the first of them, or the class of an annotation. */
  readonly name: string;
  readonly optional: boolean;
}

interface Registered extends Device {
  readonly file: DeviceFile;
  readonly edits: ContainerEdits;
}

const CLASS = 'org.mobyproject.buildkit.device.class';
const AUTO_ALLOW = 'org.mobyproject.buildkit.device.autoallow';
const MAX_FILE_BYTES = 1 << 20;
const TRUE = new Set(['1', 't', 'T', 'true', 'TRUE', 'True']);

async function readDeviceFile(path: string): Promise<DeviceFile | undefined> {
  try {
    const { size } = await stat(path);
    if (size > MAX_FILE_BYTES) throw new Error(`larger than ${MAX_FILE_BYTES} bytes`);
    return await parseDeviceFile(await readFile(path, 'utf8'), extname(path) === '.json' ? 'json' : 'yaml');
  } catch (error) {
    logger.warn('file of devices cannot be used', { path, error });
    return undefined;
  }
}

async function readFolder(folder: string): Promise<DeviceFile[]> {
  let names: string[];
  try {
    names = await readdir(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
  const paths = names.filter((name) => ['.json', '.yaml'].includes(extname(name))).toSorted();
  const files = await Promise.all(paths.map((name) => readDeviceFile(join(folder, name))));
  return files.filter((file) => file !== undefined);
}

export class DeviceRegistry {
  readonly #folders: readonly string[];
  readonly #allowed: ReadonlySet<string>;
  /** In the order of their names. */
  #devices: ReadonlyMap<string, Registered> = new Map();

  /** Of two folders that describe the same device the later one counts. `allowed` are kinds or names. */
  constructor(folders: readonly string[], allowed: readonly string[]) {
    this.#folders = folders;
    this.#allowed = new Set(allowed);
  }

  /** Reads the files again: they come and go while the daemon runs. */
  async refresh(): Promise<void> {
    const found = new Map<string, Registered>();
    for (const folder of this.#folders) {
      const here = new Map<string, Registered | undefined>();
      for (const file of await readFolder(folder)) {
        for (const { name, annotations, edits } of file.devices) {
          const qualified = `${file.kind}=${name}`;
          const all = new Map([...file.annotations, ...annotations]);
          const autoAllow =
            this.#allowed.has(qualified) || this.#allowed.has(file.kind) || TRUE.has(all.get(AUTO_ALLOW) ?? '');
          if (here.has(qualified))
            logger.warn('device is described twice, and is left out', { device: qualified, folder });
          const device = { name: qualified, autoAllow, annotations: all, file, edits };
          here.set(qualified, here.has(qualified) ? undefined : device);
        }
      }
      for (const [name, device] of here) {
        if (device === undefined) found.delete(name);
        else found.set(name, device);
      }
    }
    this.#devices = new Map([...found].toSorted(([a], [b]) => (a < b ? -1 : 1)));
  }

  list(): readonly Device[] {
    return [...this.#devices.values()];
  }

  get(name: string): Device | undefined {
    return this.#devices.get(name);
  }

  /** Qualified names, each once. Throws NotFound for one that is needed and not there. */
  find(requests: readonly DeviceRequest[]): string[] {
    return [...new Set(requests.flatMap((request) => this.#match(request)))];
  }

  #match({ name, optional }: DeviceRequest): string[] {
    const names = [...this.#devices.keys()];
    const [kind, device] = [name.split('=', 1)[0], name.includes('=') ? name.slice(name.indexOf('=') + 1) : ''];
    const ofKind = names.filter((n) => n.startsWith(`${kind}=`));
    let found = device === '' ? ofKind.slice(0, 1) : device === '*' ? ofKind : names.filter((n) => n === name);
    if (found.length === 0) found = names.filter((n) => this.#devices.get(n)?.annotations.get(CLASS) === name);
    if (found.length > 0) return found;
    if (!optional) throw new BuildError(Code.NotFound, `required device ${JSON.stringify(name)} is not registered`);
    logger.warn('optional device is not registered', { device: name });
    return [];
  }

  /** All that these devices bring along, what belongs to a whole file once. Throws NotFound for one that is gone. */
  editsOf(names: readonly string[]): ContainerEdits {
    const files = new Set<DeviceFile>();
    const all: ContainerEdits[] = [];
    for (const name of names) {
      const device = this.#devices.get(name);
      if (device === undefined) {
        throw new BuildError(Code.NotFound, `CDI device injection failed: unresolvable CDI devices ${name}`);
      }
      if (!files.has(device.file)) all.push(device.file.edits);
      files.add(device.file);
      all.push(device.edits);
    }
    return {
      env: all.flatMap((e) => e.env),
      deviceNodes: all.flatMap((e) => e.deviceNodes),
      mounts: all.flatMap((e) => e.mounts),
      hooks: all.flatMap((e) => e.hooks),
      additionalGids: all.flatMap((e) => e.additionalGids),
    };
  }
}
