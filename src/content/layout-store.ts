import { readdirSync, rmdirSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { BuildError, Code, timeFromMs } from '../base/index.ts';
import type { Digest } from '../oci/types.ts';
import { BlobFiles } from './blob-files.ts';
import { blobNotFound, fileReader } from './blob-reader.ts';
import { FileBlobWriter, WriteRefs } from './blob-writer.ts';
import type { BlobInfo, BlobReader, BlobWriter, ContentStore } from './types.ts';

/** The blobs of an OCI layout directory, which others may change at any time. Labels live as long as the object. */
class LayoutStore implements ContentStore {
  readonly #files: BlobFiles;
  readonly #labels = new Map<Digest, ReadonlyMap<string, string>>();
  readonly #writes = new WriteRefs();

  constructor(directory: string) {
    this.#files = new BlobFiles(directory);
  }

  #find(digest: Digest): BlobInfo | undefined {
    const found = this.#files.find(digest);
    if (found === undefined) return undefined;
    const labels = this.#labels.get(digest) ?? new Map<string, string>();
    return { digest, size: found.size, createdAt: timeFromMs(found.createdMs), labels };
  }

  info(digest: Digest): Promise<BlobInfo | undefined> {
    return Promise.resolve().then(() => this.#find(digest));
  }

  pathOf(digest: Digest): string {
    if (this.#find(digest) === undefined) throw blobNotFound(digest);
    return this.#files.path(digest);
  }

  async reader(descriptor: { digest: Digest; size: number }): Promise<BlobReader> {
    return await fileReader(this.#files.path(descriptor.digest), descriptor.digest);
  }

  temporaryPath(): string {
    return this.#files.temporaryPath();
  }

  async writer(ref: string): Promise<BlobWriter> {
    const release = this.#writes.hold(ref);
    const done = (): void => {
      release();
      this.#removeEmptyIngest();
    };
    try {
      return await FileBlobWriter.open(this.#files.temporaryPath(), {
        ref,
        durable: true,
        install: async (path, blob) => {
          await this.#files.install(path, blob.digest, { syncData: false, syncName: true });
          if (blob.labels.size > 0) this.#labels.set(blob.digest, blob.labels);
        },
        release: done,
      });
    } catch (error) {
      done();
      throw error;
    }
  }

  /** `ingest` is no part of the layout: it goes with its last file. */
  #removeEmptyIngest(): void {
    try {
      const folder = join(this.#files.root, 'ingest');
      if (readdirSync(folder).length === 0) rmdirSync(folder);
    } catch {
      // Another writer came in between, or there is none.
    }
  }

  async adopt(
    path: string,
    blob: { digest: Digest; size: number; labels?: ReadonlyMap<string, string> },
  ): Promise<void> {
    const { size } = await stat(path);
    if (size !== blob.size) {
      throw new BuildError(Code.FailedPrecondition, `${blob.digest}: file has ${size} bytes, expected ${blob.size}`);
    }
    await this.#files.install(path, blob.digest, { syncData: true, syncName: true });
    if (blob.labels !== undefined) this.#labels.set(blob.digest, blob.labels);
    this.#removeEmptyIngest();
  }

  setLabels(digest: Digest, labels: ReadonlyMap<string, string>): Promise<void> {
    if (this.#find(digest) === undefined) return Promise.reject(blobNotFound(digest));
    const merged = new Map([...(this.#labels.get(digest) ?? []), ...labels]);
    for (const [name, value] of merged) if (value === '') merged.delete(name);
    this.#labels.set(digest, merged);
    return Promise.resolve();
  }

  async delete(digest: Digest): Promise<void> {
    if (this.#find(digest) === undefined) throw blobNotFound(digest);
    this.#labels.delete(digest);
    await this.#files.remove(digest);
  }

  async *list(): AsyncGenerator<BlobInfo> {
    for (const digest of this.#files.scan().blobs.keys()) {
      const info = this.#find(digest);
      if (info !== undefined) yield info;
    }
  }
}

/** The blobs of the OCI layout in `directory` as a store; see also {@link readLayoutIndex}. */
export function openLayoutStore(directory: string): ContentStore {
  return new LayoutStore(directory);
}
