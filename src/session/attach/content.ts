import { BuildError, Code, invalidArgument, notFound } from '../../base/index.ts';
import type { BlobInfo, BlobWriter, ContentStore } from '../../content/types.ts';
import type { Digest } from '../../oci/types.ts';
import { ContentDefinition, WriteAction } from '../../proto/content.pb.ts';
import type { Info, WriteContentRequest, WriteContentResponse } from '../../proto/content.pb.ts';
import type { MessageReader, MessageWriter, ServerCall } from '../../rpc/types.ts';
import { META } from '../keys.ts';
import type { Attachable } from './session.ts';

const MAX_PIECE = 1 << 20;
/** A daemon lists what it asked for; a store with more blobs than this is listed in pieces. */
const LIST_PIECE = 100;

const DIGEST = /^sha(256:[0-9a-f]{64}|384:[0-9a-f]{96}|512:[0-9a-f]{128})$/;

function checkDigest(text: string): Digest {
  if (!DIGEST.test(text)) throw invalidArgument('invalid checksum digest format');
  return text as Digest;
}

function timestamp(ns: bigint): { seconds: bigint; nanos: number } {
  return { seconds: ns / 1_000_000_000n, nanos: Number(ns % 1_000_000_000n) };
}

function toWire(info: BlobInfo): Info {
  return {
    digest: info.digest,
    size: BigInt(info.size),
    createdAt: timestamp(info.createdAt),
    updatedAt: timestamp(info.createdAt),
    labels: new Map(info.labels),
  };
}

async function serveWrite(
  store: ContentStore,
  input: MessageReader<WriteContentRequest>,
  out: MessageWriter<WriteContentResponse>,
): Promise<void> {
  let writer: BlobWriter | undefined;
  let committed = false;
  try {
    for await (const m of input) {
      if (m.ref !== '' && writer !== undefined && writer.ref !== m.ref)
        throw invalidArgument('cannot change the ref of a write');
      if (writer === undefined) {
        if (m.ref === '') throw invalidArgument('first message must have a reference');
        if (m.expected !== '' && (await store.info(checkDigest(m.expected))) !== undefined) {
          throw new BuildError(Code.AlreadyExists, `blob with expected digest ${m.expected} exists`);
        }
        writer = await store.writer(m.ref);
      }
      const answer: WriteContentResponse = {
        action: m.action,
        startedAt: undefined,
        updatedAt: undefined,
        offset: BigInt(writer.offset),
        total: m.total,
        digest: '',
      };
      if (m.action !== WriteAction.STAT && m.data.length > 0) {
        if (m.offset !== BigInt(writer.offset)) {
          throw new BuildError(Code.OutOfRange, `write @${m.offset} must occur at current offset ${writer.offset}`);
        }
        await writer.write(m.data);
        answer.offset = BigInt(writer.offset);
      }
      if (m.action === WriteAction.COMMIT) {
        const digest = await writer.commit({
          digest: m.expected === '' ? undefined : checkDigest(m.expected),
          size: m.total > 0n ? Number(m.total) : undefined,
          labels: m.labels,
        });
        committed = true;
        await out.write({ ...answer, digest });
        return;
      }
      await out.write(answer);
    }
  } finally {
    if (writer !== undefined && !committed) await writer.abort();
  }
}

/** Content stores by id: `oci:<name>`, `local:<directory>`, `export`. */
export function provideContent(stores: ReadonlyMap<string, ContentStore>): Attachable {
  const find = (call: ServerCall): ContentStore => {
    const id = call.metadata.get(META.storeId)?.[0];
    if (id === undefined) throw invalidArgument(`${META.storeId} is not set`);
    const store = stores.get(id);
    if (store === undefined) throw notFound(`unknown store ${JSON.stringify(id)}`);
    return store;
  };
  const get = async (store: ContentStore, digest: string): Promise<BlobInfo> => {
    const info = await store.info(checkDigest(digest));
    if (info === undefined) throw notFound(`content ${digest}: not found`);
    return info;
  };
  return {
    register: (server) =>
      server.add(ContentDefinition, {
        info: async ({ digest }, call) => ({ info: toWire(await get(find(call), digest)) }),
        update: async ({ info }, call) => {
          const store = find(call);
          if (info === undefined) throw invalidArgument('no info to update');
          await store.setLabels(checkDigest(info.digest), info.labels);
          return { info: toWire(await get(store, info.digest)) };
        },
        list: async (_request, out, call) => {
          let piece: Info[] = [];
          for await (const info of find(call).list()) {
            piece.push(toWire(info));
            if (piece.length === LIST_PIECE) {
              await out.write({ info: piece });
              piece = [];
            }
          }
          if (piece.length > 0) await out.write({ info: piece });
        },
        delete: async ({ digest }, call) => {
          await find(call).delete(checkDigest(digest));
          return {};
        },
        read: async ({ digest, offset, size }, out, call) => {
          const store = find(call);
          const info = await get(store, digest);
          const end = size > 0n ? Math.min(Number(offset + size), info.size) : info.size;
          let at = Number(offset);
          if (at < 0 || at > info.size) throw new BuildError(Code.OutOfRange, `read offset ${at} is past the end`);
          const reader = await store.reader(info, call.signal);
          try {
            while (at < end) {
              const data = await reader.read(at, Math.min(MAX_PIECE, end - at));
              if (data.length === 0) throw new BuildError(Code.DataLoss, `${digest}: unexpected end of content`);
              await out.write({ offset: BigInt(at), data });
              at += data.length;
            }
          } finally {
            await reader.close();
          }
        },
        // Writes end with their call: there is never an older one to go on with.
        status: async ({ ref }) => {
          throw notFound(`ref ${ref}: not found`);
        },
        listStatuses: async () => ({ statuses: [] }),
        write: async (input, out, call) => serveWrite(find(call), input, out),
        abort: async () => ({}),
      }),
  };
}
