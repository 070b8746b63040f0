import { TAR_TRAILER, tarPadding, TarReader, tarDataSize } from '../../archive/index.ts';
import type { ByteString, TarHeader } from '../../archive/index.ts';
import { readFileRecords, WindowsRecord } from '../../archive/windows/index.ts';
import { TarChunks } from './chunks.ts';

const ZEROS = new Uint8Array(256 << 10);

function earlier(ns: bigint, limit: bigint): bigint {
  return ns > limit ? limit : ns;
}

/**
 * Records with the time of creation, which Windows layers have, no later than `limit`; others as they are. A layer that this
 * daemon made says it as containerd does, and so does a time that is cut.
 */
function createdBy(pax: Map<ByteString, ByteString>, limit: bigint): void {
  const key = WindowsRecord.CreationTime;
  const value = pax.get(key);
  if (value === undefined) return;
  const { creationTimeNs } = readFileRecords(new Map([[key, value]]));
  if (creationTimeNs !== undefined && creationTimeNs > limit) {
    pax.set(key, `${limit / 1_000_000_000n}.${limit % 1_000_000_000n}`);
  }
}

/** What a sparse file of the archive leaves out comes as zeros, so the pieces are not made before they can be taken. */
type Piece = { readonly header: TarHeader } | { readonly bytes: Uint8Array } | { readonly zeros: number };

/**
 * The same archive with no time after `limitNs`: headers are encoded anew, as upstream does it (util/converter). Sparse files
 * lose their maps.
 */
export async function* rewriteTimes(tar: AsyncIterable<Uint8Array>, limitNs: bigint): AsyncGenerator<Uint8Array> {
  const chunks = new TarChunks();
  let pieces: Piece[] = [];
  let size = 0;
  let at = 0;
  const reader = new TarReader({
    entry(header) {
      const { sparse: _sparse, pax, ...rest } = header;
      size = tarDataSize(header);
      at = 0;
      const records =
        pax === undefined ? undefined : new Map([...pax].filter(([key]) => !key.startsWith('GNU.sparse.')));
      if (records !== undefined) createdBy(records, limitNs);
      pieces.push({
        header: {
          ...rest,
          type: header.type === 'S' ? '0' : header.type,
          ...(records === undefined || records.size === 0 ? {} : { pax: records }),
          mtimeNs: earlier(header.mtimeNs, limitNs),
          ...(header.atimeNs === undefined ? {} : { atimeNs: earlier(header.atimeNs, limitNs) }),
          ...(header.ctimeNs === undefined ? {} : { ctimeNs: earlier(header.ctimeNs, limitNs) }),
        },
      });
    },
    data(bytes, offset) {
      if (offset > at) pieces.push({ zeros: offset - at });
      pieces.push({ bytes: Uint8Array.from(bytes) });
      at = offset + bytes.length;
    },
    entryEnd() {
      if (size > at) pieces.push({ zeros: size - at });
      pieces.push({ bytes: tarPadding(size) });
    },
  });
  function* drain(): Generator<Uint8Array> {
    for (const piece of pieces) {
      if ('header' in piece) chunks.header(piece.header);
      else if ('bytes' in piece) chunks.push(piece.bytes);
      else {
        for (let left = piece.zeros; left > 0; left -= ZEROS.length) {
          chunks.push(left < ZEROS.length ? ZEROS.subarray(0, left) : ZEROS);
          yield* chunks.full();
        }
      }
      yield* chunks.full();
    }
    pieces = [];
  }
  for await (const chunk of tar) {
    reader.write(chunk);
    yield* drain();
  }
  reader.end();
  yield* drain();
  chunks.push(TAR_TRAILER);
  yield* chunks.end();
}
