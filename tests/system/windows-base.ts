/**
 * Images like those that Windows images start from, made on the spot: layers with `Files`, `Hives` and `UtilityVM`, their
 * records and security descriptors written by the rules, without a byte of Windows.
 */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { encodeTarHeader, TAR_TRAILER, tarPadding } from '../../src/archive/index.ts';
import type { Registry } from './registry.ts';
import { emptyHive, securityDescriptor } from './windows-hive.ts';

export const FOREIGN_LAYER = 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip';
const LAYER = 'application/vnd.docker.image.rootfs.diff.tar.gzip';
const MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json';
const INDEX = 'application/vnd.docker.distribution.manifest.list.v2+json';
const CONFIG = 'application/vnd.docker.container.image.v1+json';

export const digestOf = (bytes: Uint8Array): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

/** Content of a file; undefined is a folder. */
export type LayerFiles = Readonly<Record<string, Buffer | string | undefined>>;

const MADE = 1_650_000_000n * 1_000_000_000n;
const OWNER = 'S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464'; // TrustedInstaller
const ADMINISTRATORS = 'S-1-5-32-544';
const USERS = 'S-1-5-32-545';
const FULL = 0x1f01ff;
const READ = 0x1200a9;
const descriptorOf = (inherited: number): string =>
  securityDescriptor(OWNER, [
    [ADMINISTRATORS, FULL, inherited],
    [USERS, READ, inherited],
  ]).toString('base64');
const RECORDS = {
  folder: [
    ['MSWINDOWS.fileattr', '16'],
    ['MSWINDOWS.rawsd', descriptorOf(3)],
    ['LIBARCHIVE.creationtime', '1650000000.0'],
  ],
  file: [
    ['MSWINDOWS.fileattr', '32'],
    ['MSWINDOWS.rawsd', descriptorOf(0)],
    ['LIBARCHIVE.creationtime', '1650000000.0'],
  ],
} as const;

/** As hcsshim exports a layer: names without slashes behind, every record on every entry. */
export function windowsTar(files: LayerFiles): Buffer {
  const parts: Uint8Array[] = [];
  for (const [name, content] of Object.entries(files)) {
    const folder = content === undefined;
    const bytes = Buffer.from(content ?? '');
    const whiteout = name.split('/').at(-1)?.startsWith('.wh.') === true;
    // A whiteout has no records, nor has a stream beside a file's content.
    const isBare = whiteout || name.includes(':');
    parts.push(
      encodeTarHeader({
        name: Buffer.from(name).toString('latin1'),
        type: folder ? '5' : '0',
        mode: folder ? 0o755 : 0o644,
        uid: 0,
        gid: 0,
        size: bytes.length,
        mtimeNs: whiteout ? 0n : MADE,
        linkname: '',
        uname: '',
        gname: '',
        devmajor: 0,
        devminor: 0,
        format: 'pax',
        ...(isBare ? {} : { pax: new Map<string, string>(RECORDS[folder ? 'folder' : 'file']) }),
      }),
      bytes,
      tarPadding(bytes.length),
    );
  }
  return Buffer.concat([...parts, TAR_TRAILER]);
}

const HIVES: LayerFiles = Object.fromEntries([
  ['Hives', undefined],
  ...['DefaultUser', 'Sam', 'Security', 'Software', 'System'].map((hive) => [`Hives/${hive}_Delta`, emptyHive()]),
]);

/** What a base layer has: the system with its hives, and the machine that Hyper-V runs containers in. */
export function baseFiles(build: string): LayerFiles {
  const config = 'Files/Windows/System32/config';
  return {
    ...HIVES,
    Files: undefined,
    'Files/License.txt': 'no license of Windows is needed: there is none of it in here\r\n',
    'Files/Program Files': undefined,
    'Files/Users': undefined,
    'Files/Users/Public': undefined,
    'Files/Windows': undefined,
    'Files/Windows/System32': undefined,
    'Files/Windows/System32/cmd.exe': 'not cmd.exe\n',
    [config]: undefined,
    ...Object.fromEntries(
      ['DEFAULT', 'SAM', 'SECURITY', 'SOFTWARE', 'SYSTEM'].map((hive) => [`${config}/${hive}`, emptyHive()]),
    ),
    'Files/Windows/System32/kernel32.dll': `no library, for build ${build}\n`,
    UtilityVM: undefined,
    'UtilityVM/Files': undefined,
    'UtilityVM/Files/EFI': undefined,
    'UtilityVM/Files/EFI/Microsoft': undefined,
    'UtilityVM/Files/EFI/Microsoft/Boot': undefined,
    'UtilityVM/Files/EFI/Microsoft/Boot/BCD': emptyHive(),
  };
}

/** What an update brings upon it. */
export const updateFiles: LayerFiles = {
  ...HIVES,
  Files: undefined,
  'Files/.wh.License.txt': '',
  'Files/Program Files': undefined,
  'Files/Program Files/Tool': undefined,
  'Files/Program Files/Tool/tool.exe': 'not a tool\n',
  'Files/Program Files/Tool/tool.exe:Zone.Identifier': '[ZoneTransfer]\r\nZoneId=3\r\n',
};

interface Blob {
  readonly bytes: Buffer;
  readonly descriptor: { readonly mediaType: string; readonly size: number; readonly digest: string };
}

function blobOf(mediaType: string, bytes: Buffer): Blob {
  return { bytes, descriptor: { mediaType, size: bytes.length, digest: digestOf(bytes) } };
}

const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));

/** Base layers where Microsoft's used to be: at an address outside the registry. */
export class LayerServer {
  /** Digests that were asked for. */
  readonly asked: string[] = [];
  readonly origin: string;
  readonly #blobs = new Map<string, Buffer>();
  readonly #close: () => void;

  private constructor(origin: string, close: () => void) {
    this.origin = origin;
    this.#close = close;
  }

  static async start(): Promise<LayerServer> {
    const server = createServer((request, response) => {
      const digest = (request.url ?? '').slice(1);
      layers.asked.push(digest);
      const bytes = layers.#blobs.get(digest);
      response.writeHead(bytes === undefined ? 404 : 200).end(bytes);
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const layers = new LayerServer(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, () => {
      server.close();
      server.closeAllConnections();
    });
    return layers;
  }

  add(bytes: Buffer): string {
    this.#blobs.set(digestOf(bytes), bytes);
    return `${this.origin}/${digestOf(bytes)}`;
  }

  stop(): void {
    this.#close();
  }
}

export interface BaseImage {
  /** Digests of the layers, the base first. */
  readonly layers: readonly string[];
  readonly diffIds: readonly string[];
}

interface ImageParts extends BaseImage {
  /** Of the base layer, then all that belongs into a registry. */
  readonly base: Buffer;
  readonly blobs: readonly Buffer[];
  readonly manifest: Blob;
  readonly platform: Readonly<Record<string, unknown>>;
}

/** A base layer and an update on it. `urls`: the base layer is a foreign one, which is there. */
function imageParts(version: string, urls: (base: Buffer) => readonly string[]): ImageParts {
  const tars = [windowsTar(baseFiles(version)), windowsTar(updateFiles)];
  const diffIds = tars.map(digestOf);
  const [base, update] = tars.map((tar) => gzipSync(tar)) as [Buffer, Buffer];
  const places = urls(base);
  const first = places.length === 0 ? blobOf(LAYER, base).descriptor : blobOf(FOREIGN_LAYER, base).descriptor;
  const layers = [places.length === 0 ? first : { ...first, urls: places }, blobOf(LAYER, update).descriptor];
  const platform = { architecture: 'amd64', os: 'windows', 'os.version': version, 'os.features': ['win32k'] };
  const config = blobOf(
    CONFIG,
    json({
      ...platform,
      created: '2022-04-15T05:20:00Z',
      config: { Cmd: ['c:\\windows\\system32\\cmd.exe'], User: 'ContainerUser' },
      rootfs: { type: 'layers', diff_ids: diffIds },
      history: [
        { created: '2022-04-15T05:20:00Z', created_by: 'Apply image' },
        { created: '2022-04-15T05:20:00Z', created_by: 'Install update' },
      ],
    }),
  );
  const manifest = blobOf(MANIFEST, json({ schemaVersion: 2, mediaType: MANIFEST, config: config.descriptor, layers }));
  return { layers: layers.map((l) => l.digest), diffIds, base, blobs: [update, config.bytes], manifest, platform };
}

/**
 * Pushes an index with a base image for each os.version (`10.0.20348.2227`), as `repository:tag`: the base layer is a foreign
 * one that only `server` has, an update lies on it. By os.version.
 */
export async function pushWindowsBase(
  registry: Registry,
  server: LayerServer,
  [repository, tag]: readonly [string, string],
  versions: readonly string[],
): Promise<ReadonlyMap<string, BaseImage>> {
  const images = new Map<string, BaseImage>();
  const manifests: unknown[] = [];
  for (const version of versions) {
    const image = imageParts(version, (base) => [server.add(base)]);
    const { blobs, manifest, platform } = image;
    for (const blob of blobs) await registry.putBlob(repository, blob);
    await registry.putManifest(repository, manifest.descriptor.digest, MANIFEST, manifest.bytes);
    manifests.push({ ...manifest.descriptor, platform });
    images.set(version, image);
  }
  await registry.putManifest(repository, tag, INDEX, json({ schemaVersion: 2, mediaType: INDEX, manifests }));
  return images;
}

/** The same image whole, as an OCI layout: arguments that give a build the image `name`. */
export function writeWindowsLayout(folder: string, name: string, version: string): string[] {
  const { base, blobs, manifest } = imageParts(version, () => []);
  const place = join(folder, 'blobs/sha256');
  mkdirSync(place, { recursive: true });
  for (const bytes of [base, ...blobs, manifest.bytes]) {
    writeFileSync(join(place, digestOf(bytes).slice('sha256:'.length)), bytes);
  }
  writeFileSync(join(folder, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  writeFileSync(join(folder, 'index.json'), json({ schemaVersion: 2, manifests: [manifest.descriptor] }));
  const { digest } = manifest.descriptor;
  return ['--oci-layout', `${name}=${folder}`, '--opt', `context:${name}=oci-layout://${name}@${digest}`];
}
