/** containerd.services.content.v1.Content over the blobs of the history: logs, errors, traces. Read-only (upstream: control/control.go). */
import { BuildError, Code, invalidArgument, notFound } from '../base/index.ts';
import { toTimestamp } from '../build/index.ts';
import type { BlobInfo, ContentStore } from '../content/types.ts';
import { parseDigest } from '../oci/index.ts';
import type { ContentDefinition, Info } from '../proto/content.pb.ts';
import type { Handlers } from '../rpc/index.ts';

const LIST_BATCH = 100;

function infoToWire(blob: BlobInfo): Info {
  const time = toTimestamp(blob.createdAt);
  return {
    digest: blob.digest,
    size: BigInt(blob.size),
    createdAt: time,
    updatedAt: time,
    labels: new Map(blob.labels),
  };
}

function readOnly(): BuildError {
  return new BuildError(Code.PermissionDenied, 'read-only content store');
}

export function contentHandlers(content: ContentStore): Handlers<typeof ContentDefinition> {
  const find = async (text: string): Promise<BlobInfo> => {
    const digest = parseDigest(text);
    const blob = await content.info(digest);
    if (blob === undefined) throw notFound(`content ${digest}: not found`);
    return blob;
  };
  return {
    async info(request) {
      return { info: infoToWire(await find(request.digest)) };
    },

    async list(_request, out) {
      let batch: Info[] = [];
      for await (const blob of content.list()) {
        batch.push(infoToWire(blob));
        if (batch.length < LIST_BATCH) continue;
        await out.write({ info: batch });
        batch = [];
      }
      if (batch.length > 0) await out.write({ info: batch });
    },

    async read(request, out) {
      const blob = await find(request.digest);
      const { offset } = request;
      if (offset < 0n || request.size < 0n) throw invalidArgument('read: negative offset or size');
      if (offset > BigInt(blob.size)) {
        throw new BuildError(Code.OutOfRange, `read past object length ${blob.size} bytes`);
      }
      let left = blob.size - Number(offset);
      if (request.size > 0n && request.size < BigInt(left)) left = Number(request.size);
      const reader = await content.reader(blob);
      try {
        let at = Number(offset);
        for await (const chunk of reader.stream(at)) {
          const data = chunk.subarray(0, left);
          await out.write({ offset: BigInt(at), data });
          at += data.length;
          left -= data.length;
          if (left === 0) break;
        }
      } finally {
        await reader.close();
      }
    },

    async listStatuses() {
      return { statuses: [] };
    },

    async status(request) {
      throw notFound(`ref ${request.ref}: not found`);
    },

    async update() {
      throw readOnly();
    },

    async delete() {
      throw readOnly();
    },

    async write() {
      throw readOnly();
    },

    async abort() {
      throw readOnly();
    },
  };
}
