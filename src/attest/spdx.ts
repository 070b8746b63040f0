/** SPDX documents (https://spdx.github.io/spdx-spec/v2.3), as far as an image adds to them. */
import { posix } from 'node:path';
import { VERSION } from '../base/index.ts';
import { goJson } from '../oci/index.ts';
import type { GoJsonValue } from '../oci/index.ts';

type Json = Record<string, unknown>;

const VERSIONS = ['SPDX-2.1', 'SPDX-2.2', 'SPDX-2.3'];
/** Fields in the order of upstream's writer; others follow as they are. */
const DOCUMENT = [
  'spdxVersion',
  'dataLicense',
  'SPDXID',
  'name',
  'documentNamespace',
  'externalDocumentRefs',
  'comment',
  'creationInfo',
  'packages',
  'files',
  'hasExtractedLicensingInfos',
  'relationships',
  'annotations',
  'snippets',
];
const FILE = [
  'fileName',
  'SPDXID',
  'fileTypes',
  'checksums',
  'licenseConcluded',
  'licenseInfoInFiles',
  'licenseComments',
  'copyrightText',
  'artifactOfs',
  'comment',
  'noticeText',
  'fileContributors',
  'attributionTexts',
  'fileDependencies',
  'annotations',
];
const CREATION = ['licenseListVersion', 'creators', 'created', 'comment'];

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function ordered(fields: Json, order: readonly string[]): Json {
  const known = order.filter((key) => Object.hasOwn(fields, key)).map((key) => [key, fields[key]] as const);
  const others = Object.entries(fields).filter(([key]) => !order.includes(key));
  return Object.fromEntries([...known, ...others]);
}

/** A path in an image, wherever it was written from. */
function imagePath(name: string): string {
  return posix.join('/', name);
}

const listOf = (value: unknown): Json[] => (Array.isArray(value) ? value.filter(isObject) : []);

export class SpdxDocument {
  readonly #json: Json;

  private constructor(json: Json) {
    this.#json = json;
  }

  /** undefined for what is no document of a version that is known. */
  static parse(text: string): SpdxDocument | undefined {
    try {
      const json = JSON.parse(text) as unknown;
      if (isObject(json) && VERSIONS.includes(json.spdxVersion as string)) return new SpdxDocument(json);
    } catch {
      // No JSON, no document.
    }
    return undefined;
  }

  /** Absolute paths of the files that nothing is said of yet. */
  get paths(): ReadonlySet<string> {
    const all = [this.#json, ...listOf(this.#json.packages)].flatMap((holder) => listOf(holder.files));
    return new Set(all.filter((file) => !isCommented(file)).map((file) => imagePath(String(file.fileName ?? ''))));
  }

  /** The document with the layers that the files come from, by their paths, and with who added that. */
  withLayers(layers: ReadonlyMap<string, string>): string {
    const withFiles = (holder: Json): Json => {
      if (!Array.isArray(holder.files)) return holder;
      return { ...holder, files: holder.files.map((file: unknown) => (isObject(file) ? placed(file, layers) : file)) };
    };
    const { packages, creationInfo } = this.#json;
    const creation = isObject(creationInfo) ? creationInfo : { creators: [], created: '' };
    const creators = Array.isArray(creation.creators) ? creation.creators : [];
    const document: Json = {
      ...withFiles(this.#json),
      spdxVersion: 'SPDX-2.3',
      creationInfo: ordered({ ...creation, creators: [...creators, `Tool: buildkit-${VERSION.version}`] }, CREATION),
      ...(Array.isArray(packages) ? { packages: packages.map((p: unknown) => (isObject(p) ? withFiles(p) : p)) } : {}),
    };
    return goJson(ordered(document, DOCUMENT) as GoJsonValue);
  }
}

/** Its comment is its author's: it cannot be added to without breaking what reads it. */
function isCommented(file: Json): boolean {
  return (file.comment ?? '') !== '';
}

function placed(file: Json, layers: ReadonlyMap<string, string>): Json {
  const layer = isCommented(file) ? undefined : layers.get(imagePath(String(file.fileName ?? '')));
  return ordered(layer === undefined ? file : { ...file, comment: `layerID: ${layer}` }, FILE);
}
