import { rmSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { BuildError, Code, KeyedMutex, logger, nowNs } from '../base/index.ts';
import type { Database } from '../metadata/index.ts';
import type { Digest } from '../oci/types.ts';
import { BlobFiles } from './blob-files.ts';
import { blobNotFound, fileReader } from './blob-reader.ts';
import { FileBlobWriter, WriteRefs } from './blob-writer.ts';
import type { BlobInfo, BlobReader, BlobWriter, ContentStore } from './types.ts';

const TABLES = [
  `CREATE TABLE content_blob (
     digest TEXT PRIMARY KEY,
     size INTEGER NOT NULL,
     created_at TEXT NOT NULL,
     labels TEXT NOT NULL
   ) WITHOUT ROWID`,
];

export interface DiskContentStore extends ContentStore {
  /** Without waiting; for decisions over many blobs. */
  find(digest: Digest): BlobInfo | undefined;
  /** Names of the writes that are going on: none when nothing runs. */
  readonly openWrites: readonly string[];
}

export interface ContentStoreOptions {
  /**
   * true (the default): a blob is on the disk when it is committed. false: a power loss may take those of the last seconds, as
   * it takes the last rows of the database; what a crash of the program alone leaves is whole either way.
   */
  readonly durable?: boolean;
}

class SqliteContentStore implements DiskContentStore {
  readonly #files: BlobFiles;
  readonly #db: Database;
  readonly #durable: boolean;
  readonly #blobs = new Map<Digest, BlobInfo>();
  readonly #writes = new WriteRefs();
  /** A blob that is removed and written at a time would lose its file. */
  readonly #changing = new KeyedMutex<Digest>();

  constructor(files: BlobFiles, db: Database, { durable = true }: ContentStoreOptions) {
    this.#files = files;
    this.#db = db;
    this.#durable = durable;
    db.register('content', TABLES);
    this.#reconcile();
  }

  /** Rows and files of a predecessor that was killed at any instant: only what has both, in one size, is kept. */
  #reconcile(): void {
    this.#files.removeIngests();
    const { blobs, strangers } = this.#files.scan();
    const lost: string[] = [];
    for (const row of this.#db.iterate<{ digest: string; size: number; created_at: string; labels: string }>(
      'SELECT * FROM content_blob',
    )) {
      const digest = row.digest as Digest;
      if (blobs.get(digest) !== row.size) {
        lost.push(digest);
        continue;
      }
      blobs.delete(digest);
      const labels = new Map(Object.entries(JSON.parse(row.labels) as Record<string, string>));
      this.#blobs.set(digest, { digest, size: row.size, createdAt: BigInt(row.created_at), labels });
    }
    this.#db.transaction(() => {
      for (const digest of lost) this.#db.run('DELETE FROM content_blob WHERE digest = ?', digest);
    });
    // What is left in `blobs` has no row, or a row of another size.
    const unknown = [...strangers, ...[...blobs.keys()].map((digest) => this.#files.path(digest))];
    for (const path of unknown) rmSync(path, { recursive: true, force: true });
    if (lost.length + unknown.length > 0) {
      logger.warn('content store was brought in order', { lostBlobs: lost.length, removedFiles: unknown.length });
    }
  }

  find(digest: Digest): BlobInfo | undefined {
    return this.#blobs.get(digest);
  }

  get openWrites(): readonly string[] {
    return this.#writes.names;
  }

  info(digest: Digest): Promise<BlobInfo | undefined> {
    return Promise.resolve(this.#blobs.get(digest));
  }

  pathOf(digest: Digest): string {
    if (!this.#blobs.has(digest)) throw blobNotFound(digest);
    return this.#files.path(digest);
  }

  async reader(descriptor: { digest: Digest; size: number }): Promise<BlobReader> {
    return await fileReader(this.pathOf(descriptor.digest), descriptor.digest);
  }

  temporaryPath(): string {
    return this.#files.temporaryPath();
  }

  async writer(ref: string): Promise<BlobWriter> {
    const release = this.#writes.hold(ref);
    try {
      return await FileBlobWriter.open(this.#files.temporaryPath(), {
        ref,
        durable: this.#durable,
        install: (path, blob) => this.#add(path, blob, { syncData: false }),
        release,
      });
    } catch (error) {
      release();
      throw error;
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
    await this.#add(path, { ...blob, labels: blob.labels ?? new Map() }, { syncData: this.#durable });
  }

  async #add(
    path: string,
    blob: { digest: Digest; size: number; labels: ReadonlyMap<string, string> },
    options: { syncData: boolean },
  ): Promise<void> {
    await this.#changing.run(blob.digest, async () => {
      await this.#files.install(path, blob.digest, { ...options, syncName: this.#durable });
      const before = this.#blobs.get(blob.digest);
      this.#save({
        digest: blob.digest,
        size: blob.size,
        createdAt: nowNs(),
        labels: new Map([...(before?.labels ?? []), ...blob.labels]),
      });
    });
  }

  #save(info: BlobInfo): void {
    this.#db.run(
      'INSERT OR REPLACE INTO content_blob (digest, size, created_at, labels) VALUES (?, ?, ?, ?)',
      info.digest,
      info.size,
      info.createdAt.toString(),
      JSON.stringify(Object.fromEntries(info.labels)),
    );
    this.#blobs.set(info.digest, info);
  }

  /** Given labels replace those of the same name; an empty value removes one. */
  setLabels(digest: Digest, labels: ReadonlyMap<string, string>): Promise<void> {
    const info = this.#blobs.get(digest);
    if (info === undefined) return Promise.reject(blobNotFound(digest));
    const merged = new Map([...info.labels, ...labels]);
    for (const [name, value] of merged) if (value === '') merged.delete(name);
    this.#save({ ...info, labels: merged });
    return Promise.resolve();
  }

  async delete(digest: Digest): Promise<void> {
    if (!this.#blobs.has(digest)) throw blobNotFound(digest);
    await this.#changing.run(digest, async () => {
      if (!this.#blobs.delete(digest)) return; // somebody else was faster
      this.#db.run('DELETE FROM content_blob WHERE digest = ?', digest);
      await this.#files.remove(digest);
    });
  }

  async *list(): AsyncGenerator<BlobInfo> {
    // What is listed may be deleted meanwhile.
    yield* Array.from(this.#blobs.values());
  }
}

/** The store in `<root>/blobs`, its facts in `db`. Puts in order what a killed predecessor left. */
export function openContentStore(root: string, db: Database, options: ContentStoreOptions = {}): DiskContentStore {
  return new SqliteContentStore(new BlobFiles(root), db, options);
}
