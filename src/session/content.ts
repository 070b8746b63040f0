import { BuildError, Code, internal } from '../base/index.ts';
import type { BlobReader, BlobWriter, ContentProvider } from '../content/types.ts';
import type { Digest } from '../oci/types.ts';
import { ContentDefinition, WriteAction } from '../proto/content.pb.ts';
import type { WriteContentRequest, WriteContentResponse } from '../proto/content.pb.ts';
import { META } from './keys.ts';
import type { SessionCaller } from './types.ts';

const MAX_PIECE = 1 << 20;
const { methods } = ContentDefinition;

async function* nothing(): AsyncGenerator<Uint8Array> {}

/** A store in the client: `oci:<id>`, `local:<dir>` or `export`. */
export class SessionContent implements ContentProvider {
  readonly #caller: SessionCaller;
  readonly #metadata: ReadonlyArray<readonly [string, string]>;

  constructor(caller: SessionCaller, storeId: string) {
    this.#caller = caller;
    this.#metadata = [[META.storeId, storeId]];
  }

  /** Size and labels of a blob. Throws NotFound. */
  async info(digest: Digest, signal?: AbortSignal): Promise<{ size: number; labels: ReadonlyMap<string, string> }> {
    const options = { metadata: this.#metadata, signal };
    const { info } = await this.#caller.channel.unary(ContentDefinition, methods.info, { digest }, options);
    if (info === undefined) throw internal(`no info for ${digest}`);
    return { size: Number(info.size), labels: info.labels };
  }

  /** A whole blob of at most `limit` bytes, in one call. Throws NotFound, and ResourceExhausted for a larger one. */
  async small(digest: Digest, limit: number, signal?: AbortSignal): Promise<Uint8Array> {
    const parts: Uint8Array[] = [];
    let size = 0;
    for await (const part of this.#read(digest, 0, 0, signal)) {
      size += part.length;
      if (size > limit) {
        const whole = (await this.info(digest, signal)).size;
        throw new BuildError(Code.ResourceExhausted, `rejecting ${whole} byte manifest ${digest}`);
      }
      parts.push(part);
    }
    return parts.length === 1 ? parts[0] : Buffer.concat(parts);
  }

  async reader(descriptor: { digest: Digest; size: number }, signal?: AbortSignal): Promise<BlobReader> {
    const { size } = await this.info(descriptor.digest, signal);
    const read = (offset: number, length: number) =>
      length <= 0 ? nothing() : this.#read(descriptor.digest, offset, length, signal);
    return {
      size,
      read: async (offset, length) => {
        const parts: Uint8Array[] = [];
        for await (const part of read(offset, Math.min(length, size - offset))) parts.push(part);
        return parts.length === 1 ? parts[0] : Buffer.concat(parts);
      },
      stream: (offset = 0) => read(offset, size - offset),
      close: async () => {},
    };
  }

  /** A length of 0 is all that there is (containerd: ReadContentRequest.size). */
  async *#read(digest: Digest, offset: number, length: number, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
    const call = this.#caller.channel.stream(ContentDefinition, methods.read, { metadata: this.#metadata, signal });
    try {
      // What fails here, the status explains.
      call.write({ digest, offset: BigInt(offset), size: BigInt(length) }).catch(() => {});
      call.end();
      let left = length;
      for await (const { data } of call) {
        left -= data.length;
        yield data;
      }
      if (left > 0) throw new BuildError(Code.DataLoss, `${digest}: unexpected end of content`);
    } finally {
      call.cancel();
    }
  }

  /** Starts (or continues: see `offset`) the write named `ref`. */
  async writer(ref: string, signal?: AbortSignal): Promise<BlobWriter> {
    const call = this.#caller.channel.stream(ContentDefinition, methods.write, { metadata: this.#metadata, signal });
    const ask = async (request: Partial<WriteContentRequest>): Promise<WriteContentResponse> => {
      const empty = { ref, total: 0n, expected: '', offset: 0n, data: new Uint8Array(0), labels: new Map() };
      await call.write({ action: WriteAction.STAT, ...empty, ...request });
      const response = await call.read();
      if (response === undefined) throw internal('content writer ended early');
      return response;
    };
    let offset = Number((await ask({ action: WriteAction.STAT })).offset);
    return {
      ref,
      get offset() {
        return offset;
      },
      write: async (chunk) => {
        for (let at = 0; at < chunk.length; at += MAX_PIECE) {
          const data = chunk.subarray(at, at + MAX_PIECE);
          const r = await ask({ action: WriteAction.WRITE, offset: BigInt(offset), data });
          offset += data.length;
          if (Number(r.offset) !== offset) throw internal(`content writer is at ${r.offset}, expected ${offset}`);
        }
      },
      commit: async ({ digest, size, labels }) => {
        try {
          const r = await ask({
            action: WriteAction.COMMIT,
            offset: BigInt(offset),
            total: BigInt(size ?? offset),
            expected: digest ?? '',
            labels: new Map(labels),
          });
          return r.digest as Digest;
        } catch (error) {
          if (error instanceof BuildError && error.code === Code.AlreadyExists && digest !== undefined) return digest;
          throw error;
        } finally {
          call.end();
          call.cancel();
        }
      },
      abort: async () => {
        call.cancel();
        const options = { metadata: this.#metadata };
        await this.#caller.channel.unary(ContentDefinition, methods.abort, { ref }, options).catch(() => {});
      },
    };
  }
}
