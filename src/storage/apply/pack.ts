/** Trees as a tar stream with the bytes that fsutil's WriteTar gives it: whole seconds, all attributes, links by first name. */
import { TAR_TRAILER, TarType, toByteString, XATTR_RECORD } from '../../archive/index.ts';
import type { ByteString, TarHeader } from '../../archive/index.ts';
import type { JobContext } from '../../base/index.ts';
import { GoMode, unixMode, walkOver } from '../../files/index.ts';
import type { Stat } from '../../proto/fsutil_stat.pb.ts';
import { TarChunks } from '../diff/chunks.ts';
import { accountOfId } from '../../systems/index.ts';
import type { ImageSystem } from '../types.ts';
import type { PackEntry, PackOptions } from './types.ts';

export interface PackRequest extends Omit<PackOptions, 'signal'> {
  readonly entries: readonly PackEntry[];
}

/** Chunks that may be on their way before the job waits for the reader. */
const CREDIT = 4;

function typeOf(stat: Stat): string {
  if ((stat.mode & GoMode.Dir) !== 0) return TarType.Dir;
  if ((stat.mode & GoMode.Symlink) !== 0) return TarType.Symlink;
  if (stat.linkname !== '') return TarType.Link;
  if ((stat.mode & GoMode.Device) !== 0) return (stat.mode & GoMode.CharDevice) !== 0 ? TarType.Char : TarType.Block;
  return (stat.mode & GoMode.NamedPipe) !== 0 ? TarType.Fifo : TarType.File;
}

function ownerOf({ uid, gid }: Stat, system: ImageSystem | undefined): { uid: number; gid: number } {
  if (system !== 'windows') return { uid, gid };
  return { uid: accountOfId(uid) === undefined ? uid : 0, gid: accountOfId(gid) === undefined ? gid : 0 };
}

function headerOf(
  stat: Stat,
  { prefix, system }: { prefix: ByteString; system: ImageSystem | undefined },
  request: PackRequest,
): TarHeader {
  const type = typeOf(stat);
  const name = prefix === '' ? stat.path : `${prefix}/${stat.path}`;
  const isHardLink = type === TarType.Link && prefix !== '';
  const pax = [...stat.xattrs].map(
    ([key, value]) => [XATTR_RECORD + toByteString(key), Buffer.from(value).toString('latin1')] as const,
  );
  return {
    name: type === TarType.Dir ? `${name}/` : name,
    type,
    mode: unixMode(stat.mode),
    ...(request.owner ?? ownerOf(stat, system)),
    size: type === TarType.File ? Number(stat.size) : 0,
    mtimeNs: request.mtimeNs ?? stat.modTime,
    linkname: isHardLink ? `${prefix}/${stat.linkname}` : stat.linkname,
    uname: '',
    gname: '',
    devmajor: Number(stat.devmajor),
    devminor: Number(stat.devminor),
    ...(pax.length === 0 ? {} : { pax: new Map(pax) }),
  };
}

function folderHeader(prefix: ByteString, request: PackRequest): TarHeader {
  const nothing = { size: 0, linkname: '', uname: '', gname: '', devmajor: 0, devminor: 0 };
  const { uid, gid } = request.owner ?? { uid: 0, gid: 0 };
  return { name: `${prefix}/`, type: TarType.Dir, mode: 0o755, uid, gid, mtimeNs: request.mtimeNs ?? 0n, ...nothing };
}

function* tarOf(request: PackRequest, check: () => void): Generator<Buffer> {
  const chunks = new TarChunks();
  for (const { dir, prefix: text, over, system } of request.entries) {
    const prefix = toByteString(text.replace(/^\/+|\/+$/g, ''));
    if (prefix !== '') chunks.header(folderHeader(prefix, request));
    for (const { stat, root } of walkOver(dir, over)) {
      check();
      const header = headerOf(stat, { prefix, system }, request);
      chunks.header(header);
      if (header.type === TarType.File && header.size > 0)
        yield* chunks.file(`${toByteString(root)}/${stat.path}`, header.size);
      yield* chunks.full();
    }
  }
  chunks.push(TAR_TRAILER);
  yield* chunks.end();
}

/** Chunks go to the caller as messages, their memory with them; each message of the caller's is leave for one more. */
export async function packJob(request: PackRequest, context: JobContext): Promise<void> {
  let credit = CREDIT;
  let wake: (() => void) | undefined;
  context.onMessage = () => {
    credit++;
    wake?.();
  };
  for (const chunk of tarOf(request, context.check)) {
    context.check();
    while (credit === 0) {
      await new Promise<void>((resolve) => (wake = resolve));
      context.check();
    }
    credit--;
    const bytes = new Uint8Array(chunk.buffer as ArrayBuffer, chunk.byteOffset, chunk.byteLength);
    context.emit(bytes, [bytes.buffer]);
  }
}
