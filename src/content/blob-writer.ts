import { createHash } from 'node:crypto';
import type { Hash } from 'node:crypto';
import { open, rm } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { BuildError, Code } from '../base/index.ts';
import type { Digest } from '../oci/types.ts';
import type { BlobWriter } from './types.ts';

const BUFFER = 1024 * 1024;
/** Most blobs are small. */
const FIRST_BUFFER = 16 * 1024;

/** What happens to a file that is whole; returns when the blob is recorded. */
type Install = (
  path: string,
  blob: { digest: Digest; size: number; labels: ReadonlyMap<string, string> },
) => Promise<void>;

export interface BlobWriterOptions {
  readonly ref: string;
  /** The data is on the disk when it is installed. */
  readonly durable: boolean;
  readonly install: Install;
  /** Called once, when the write has ended. */
  readonly release: () => void;
}

/** Small chunks are gathered into writes of 1 MiB; the digest is taken on the way. */
export class FileBlobWriter implements BlobWriter {
  readonly ref: string;
  readonly #path: string;
  readonly #file: FileHandle;
  readonly #install: Install;
  readonly #durable: boolean;
  readonly #release: () => void;
  readonly #hash: Hash = createHash('sha256');
  #buffer = Buffer.allocUnsafe(FIRST_BUFFER);
  #buffered = 0;
  #offset = 0;
  #state: 'open' | 'closed' = 'open';

  private constructor(path: string, file: FileHandle, { ref, durable, install, release }: BlobWriterOptions) {
    this.ref = ref;
    this.#path = path;
    this.#file = file;
    this.#durable = durable;
    this.#install = install;
    this.#release = release;
  }

  static async open(path: string, options: BlobWriterOptions): Promise<FileBlobWriter> {
    return new FileBlobWriter(path, await open(path, 'wx', 0o644), options);
  }

  get offset(): number {
    return this.#offset;
  }

  async write(chunk: Uint8Array): Promise<void> {
    this.#mustBeOpen();
    this.#offset += chunk.length;
    this.#hash.update(chunk);
    if (this.#buffered + chunk.length > BUFFER) await this.#flush();
    if (chunk.length >= BUFFER) {
      await this.#writeAll(chunk);
    } else {
      this.#reach(this.#buffered + chunk.length);
      this.#buffer.set(chunk, this.#buffered);
      this.#buffered += chunk.length;
    }
  }

  #reach(length: number): void {
    if (length <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.min(BUFFER, Math.max(length, 2 * this.#buffer.length)));
    this.#buffer.copy(larger, 0, 0, this.#buffered);
    this.#buffer = larger;
  }

  async #writeAll(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length;) {
      at += (await this.#file.write(bytes, at, bytes.length - at)).bytesWritten;
    }
  }

  async #flush(): Promise<void> {
    const pending = this.#buffer.subarray(0, this.#buffered);
    this.#buffered = 0;
    await this.#writeAll(pending);
  }

  async commit(
    expected: { digest?: Digest; size?: number; labels?: ReadonlyMap<string, string> } = {},
  ): Promise<Digest> {
    this.#mustBeOpen();
    try {
      await this.#flush();
      const digest = `sha256:${this.#hash.digest('hex')}` as Digest;
      if (expected.size !== undefined && expected.size > 0 && expected.size !== this.#offset) {
        // containerd's wording (plugins/content/local/writer.go)
        throw new BuildError(
          Code.FailedPrecondition,
          `unexpected commit size ${this.#offset}, expected ${expected.size}: failed precondition`,
        );
      }
      if (expected.digest !== undefined && expected.digest !== digest) {
        throw new BuildError(
          Code.FailedPrecondition,
          `unexpected commit digest ${digest}, expected ${expected.digest}: failed precondition`,
        );
      }
      if (this.#durable) await this.#file.sync();
      await this.#file.close();
      await this.#install(this.#path, { digest, size: this.#offset, labels: expected.labels ?? new Map() });
      this.#state = 'closed';
      this.#release();
      return digest;
    } catch (error) {
      await this.abort();
      throw error;
    }
  }

  /** Does nothing after a commit, so that it may stand in a `finally`. */
  async abort(): Promise<void> {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    try {
      await this.#file.close();
    } finally {
      await rm(this.#path, { force: true });
      this.#release();
    }
  }

  #mustBeOpen(): void {
    if (this.#state !== 'open') throw new BuildError(Code.FailedPrecondition, `ref ${this.ref} is closed`);
  }
}

/** Names of writes that are going on. */
export class WriteRefs {
  readonly #held = new Set<string>();

  /** Throws Unavailable while another writer has that name (containerd's wording). */
  hold(ref: string): () => void {
    if (this.#held.has(ref)) throw new BuildError(Code.Unavailable, `ref ${ref} locked: unavailable`);
    this.#held.add(ref);
    return () => void this.#held.delete(ref);
  }

  get names(): readonly string[] {
    return [...this.#held];
  }
}
