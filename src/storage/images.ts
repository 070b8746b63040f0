import { nowNs } from '../base/index.ts';
import type { Database } from '../metadata/index.ts';
import type { Descriptor, Digest } from '../oci/types.ts';

const TABLES = [
  `CREATE TABLE image (
     name TEXT PRIMARY KEY,
     target TEXT NOT NULL,
     updated_at TEXT NOT NULL
   ) WITHOUT ROWID`,
];

export interface StoredImage {
  readonly name: string;
  readonly target: Descriptor;
  readonly updatedAt: bigint;
}

/** Names of images that were built here. A named image keeps its blobs: those that labels of its manifest refer to. */
export interface ImageStore {
  find(name: string): StoredImage | undefined;
  /** A name that is there already moves to the new image. */
  set(name: string, target: Descriptor): void;
  delete(name: string): boolean;
  list(): readonly StoredImage[];
}

interface ImageRow extends Readonly<Record<string, string>> {
  readonly name: string;
  readonly target: string;
  readonly updated_at: string;
}

export class SqliteImageStore implements ImageStore {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
    db.register('images', TABLES);
  }

  #decode(row: ImageRow): StoredImage {
    return { name: row.name, target: JSON.parse(row.target) as Descriptor, updatedAt: BigInt(row.updated_at) };
  }

  find(name: string): StoredImage | undefined {
    const row = this.#db.find<ImageRow>('SELECT name, target, updated_at FROM image WHERE name = ?', name);
    return row && this.#decode(row);
  }

  set(name: string, target: Descriptor): void {
    this.#db.run(
      'INSERT OR REPLACE INTO image (name, target, updated_at) VALUES (?, ?, ?)',
      name,
      JSON.stringify(target),
      nowNs().toString(),
    );
  }

  delete(name: string): boolean {
    return this.#db.run('DELETE FROM image WHERE name = ?', name) > 0;
  }

  list(): readonly StoredImage[] {
    return this.#db
      .all<ImageRow>('SELECT name, target, updated_at FROM image ORDER BY name')
      .map((row) => this.#decode(row));
  }

  *digests(): Iterable<Digest> {
    for (const image of this.list()) yield image.target.digest;
  }
}
