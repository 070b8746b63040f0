import { BuildError, Code, logger, Mutex, randomId } from '../../base/index.ts';
import type { BlobReader, BlobWriter, DiskContentStore } from '../../content/index.ts';
import { StatusResponse } from '../../proto/control.pb.ts';
import type { Descriptor } from '../../proto/control.pb.ts';

/** A record of responses: each as its length, four bytes little-endian, and its protobuf form. */
const MEDIA_TYPE = 'application/vnd.buildkit.status.v0';
/** Names of the writes of this file begin so. */
export const LOG_WRITE = 'history-log-';
/** One response; whoever writes them stays below a gRPC message. */
const MAX_FRAME = 64 << 20;

export interface StatusLog {
  /** Never fails: a log that cannot be written is given up, and the build goes on. */
  write(response: StatusResponse): Promise<void>;
}

export interface StatusCounts {
  readonly total: number;
  readonly cached: number;
  readonly completed: number;
  readonly warnings: number;
}

/** The progress of a build on its way into a blob. */
export class StatusLogWriter implements StatusLog {
  readonly #content: DiskContentStore;
  /** A blob's writer takes one chunk at a time. */
  readonly #turn = new Mutex();
  readonly #vertices = new Map<string, { cached: boolean; completed: boolean }>();
  #warnings = 0;
  #writer: BlobWriter | undefined;
  #failure: { readonly error: unknown } | undefined;
  #closed = false;

  constructor(content: DiskContentStore) {
    this.#content = content;
  }

  get counts(): StatusCounts {
    const vertices = [...this.#vertices.values()];
    return {
      total: vertices.length,
      cached: vertices.filter((v) => v.cached).length,
      completed: vertices.filter((v) => v.completed).length,
      warnings: this.#warnings,
    };
  }

  async write(response: StatusResponse): Promise<void> {
    this.#count(response);
    await this.#turn.run(async () => {
      if (this.#closed || this.#failure !== undefined) return;
      try {
        const message = StatusResponse.encode(response).finish();
        const length = Buffer.alloc(4);
        length.writeUInt32LE(message.length);
        const writer = await this.#open();
        await writer.write(length);
        await writer.write(message);
      } catch (error) {
        this.#failure = { error };
        logger.error('failed to write the log of a build to the history', { error });
      }
    });
  }

  #count(response: StatusResponse): void {
    this.#warnings += response.warnings.length;
    for (const { digest, cached, completed } of response.vertexes) {
      const before = this.#vertices.get(digest);
      this.#vertices.set(digest, {
        cached: cached || before?.cached === true,
        completed: completed !== undefined || before?.completed === true,
      });
    }
  }

  async #open(): Promise<BlobWriter> {
    return (this.#writer ??= await this.#content.writer(`${LOG_WRITE}${randomId()}`));
  }

  /** Makes the blob, or throws why there is none. */
  async commit(): Promise<Descriptor> {
    return await this.#turn.run(async () => {
      this.#closed = true;
      if (this.#failure !== undefined) {
        await this.#writer?.abort();
        throw this.#failure.error;
      }
      const writer = await this.#open();
      const size = BigInt(writer.offset);
      const digest = await writer.commit({});
      return { mediaType: MEDIA_TYPE, digest, size, annotations: new Map() };
    });
  }

  async discard(): Promise<void> {
    await this.#turn.run(async () => {
      this.#closed = true;
      await this.#writer?.abort();
    });
  }
}

/** The responses of a log, one at a time. Closes `reader`. */
export async function* replayStatusLog(reader: BlobReader): AsyncGenerator<StatusResponse> {
  try {
    let at = 0;
    let window: Uint8Array = new Uint8Array();
    let start = 0;
    const take = async (length: number): Promise<Uint8Array> => {
      if (length > reader.size - at) throw new BuildError(Code.DataLoss, 'build log: unexpected EOF');
      if (at + length > start + window.length) {
        start = at;
        window = await reader.read(at, Math.max(length, 1 << 16));
      }
      const bytes = window.subarray(at - start, at - start + length);
      at += length;
      return bytes;
    };
    while (at < reader.size) {
      const length = Buffer.from(await take(4)).readUInt32LE();
      if (length > MAX_FRAME) throw new BuildError(Code.DataLoss, `build log: response of ${length} bytes`);
      const message = await take(length);
      let response: StatusResponse;
      try {
        response = StatusResponse.decode(message);
      } catch (error) {
        throw new BuildError(Code.DataLoss, 'build log: damaged response', { cause: error });
      }
      yield response;
    }
  } finally {
    await reader.close();
  }
}
