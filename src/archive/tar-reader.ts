import { limitExceeded, DEFAULT_LIMITS, invalidTar } from './limits.ts';
import type { ArchiveLimits } from './limits.ts';
import type { ByteString } from './byte-string.ts';
import { isAscii } from './byte-string.ts';
import { parsePaxRecords, parsePaxTime } from './pax.ts';
import { BLOCK, Field, hasValidChecksum, MAGIC_GNU, readNumber, readString } from './tar-fields.ts';
import type { Place } from './tar-fields.ts';
import { isHeaderOnly, TarType } from './tar-header.ts';
import type { SparseMap, TarFormat, TarHeader } from './tar-header.ts';
import {
  checkSparseMap,
  extendedSparseBlock,
  firstSparseBlock,
  MAX_SPARSE_MAP,
  parseSparseText,
  sparseMapOfRecords,
} from './tar-sparse.ts';

/** Where a tar's entries go, in order: `entry`, its data in pieces, `entryEnd`. What they throw ends the reading. */
export interface TarSink {
  entry(header: TarHeader): void;
  /** `offset` is the place in the file: it jumps over holes of sparse files. The bytes are only good until this returns. */
  data(bytes: Uint8Array, offset: number): void;
  entryEnd(): void;
}

/** PAX records and GNU long names: nothing honest is longer (Go's limit). */
const MAX_SPECIAL = 1 << 20;

type Draft = { -readonly [K in keyof TarHeader]: TarHeader[K] };

type State =
  | { kind: 'header'; zeroBlocks: number }
  | { kind: 'special'; type: string; left: number; padding: number; parts: Buffer[] }
  | { kind: 'sparseBlocks'; draft: Draft; stored: number; map: Array<readonly [number, number]>; blocks: number }
  | { kind: 'sparseText'; draft: Draft; stored: number; text: Buffer }
  | { kind: 'data'; left: number; padding: number; segments: Array<[offset: number, length: number]> }
  | { kind: 'padding'; left: number }
  | { kind: 'end' };

interface Pending {
  pax: Map<ByteString, ByteString> | undefined;
  longName: ByteString;
  longLink: ByteString;
  formats: number;
}

/** Sets of formats that all headers of one entry agree on. */
const USTAR = 1;
const PAX = 2;
const GNU = 4;
const ANY = USTAR | PAX | GNU;

/**
 * Reads a tar that is pushed in as chunks of any size. Everything that breaks the format throws InvalidArgument, everything
 * beyond the limits ResourceExhausted. What follows the end of the archive is ignored.
 */
export class TarReader {
  readonly #sink: TarSink;
  readonly #limits: ArchiveLimits;
  #state: State = { kind: 'header', zeroBlocks: 0 };
  #pending: Pending = noPending();
  /** The beginning of a block whose rest is in the next chunk. */
  #partial = Buffer.alloc(BLOCK);
  #partialLength = 0;
  #entries = 0;
  #total = 0;

  constructor(sink: TarSink, limits: Partial<ArchiveLimits> = {}) {
    this.#sink = sink;
    this.#limits = { ...DEFAULT_LIMITS, ...limits };
  }

  get ended(): boolean {
    return this.#state.kind === 'end';
  }

  get entries(): number {
    return this.#entries;
  }

  write(chunk: Uint8Array): void {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    let at = 0;
    while (at < bytes.length) {
      const state = this.#state;
      if (state.kind === 'end') return;
      if (state.kind === 'data') at += this.#data(state, bytes, at);
      else if (state.kind === 'padding') {
        const take = Math.min(state.left, bytes.length - at);
        state.left -= take;
        at += take;
        if (state.left === 0) this.#state = { kind: 'header', zeroBlocks: 0 };
      } else if (state.kind === 'special') at += this.#special(state, bytes, at);
      else if (this.#partialLength === 0 && bytes.length - at >= BLOCK) {
        this.#block(bytes.subarray(at, at + BLOCK));
        at += BLOCK;
      } else {
        const take = Math.min(BLOCK - this.#partialLength, bytes.length - at);
        bytes.copy(this.#partial, this.#partialLength, at, at + take);
        this.#partialLength += take;
        at += take;
        if (this.#partialLength === BLOCK) {
          this.#partialLength = 0;
          this.#block(this.#partial);
        }
      }
    }
  }

  /** No more bytes come: an archive may end without its two zero blocks, but not in the middle of an entry. */
  end(): void {
    const state = this.#state;
    const between = (state.kind === 'header' && this.#partialLength === 0) || state.kind === 'end';
    const unfinished =
      this.#pending.pax !== undefined || this.#pending.longName !== '' || this.#pending.longLink !== '';
    // The last entry's padding may be missing too, as it is for Go.
    if (!between && state.kind !== 'padding') throw invalidTar('unexpected EOF');
    if (unfinished) throw invalidTar('unexpected EOF after an extended header');
    this.#state = { kind: 'end' };
  }

  #block(block: Buffer): void {
    const state = this.#state;
    switch (state.kind) {
      case 'header':
        if (block.every((b) => b === 0)) {
          this.#state = state.zeroBlocks === 1 ? { kind: 'end' } : { kind: 'header', zeroBlocks: 1 };
        } else if (state.zeroBlocks > 0) throw invalidTar('a lone zero block');
        else this.#header(block);
        return;
      case 'sparseBlocks':
        if (++state.blocks * BLOCK > MAX_SPARSE_MAP) throw invalidTar('sparse map is too long');
        if (!extendedSparseBlock(block, state.map)) this.#start(state.draft, state.stored, state.map);
        return;
      case 'sparseText': {
        if (state.stored < BLOCK || state.text.length + BLOCK > MAX_SPARSE_MAP) throw invalidTar('sparse map');
        state.stored -= BLOCK;
        state.text = Buffer.concat([state.text, block]);
        const map = parseSparseText(state.text);
        if (map !== undefined) this.#start(state.draft, state.stored, map);
        return;
      }
      default:
        throw invalidTar('state');
    }
  }

  #header(block: Buffer): void {
    if (!hasValidChecksum(block)) throw invalidTar('checksum');
    if (++this.#entries > this.#limits.maxEntries) throw limitExceeded('entries', this.#limits.maxEntries);
    const draft = readFields(block, this.#pending);
    if (!isHeaderOnly(draft.type) && draft.size < 0) throw invalidTar('negative size');
    switch (draft.type) {
      case TarType.Pax:
      case TarType.PaxGlobal:
      case TarType.GnuLongName:
      case TarType.GnuLongLink: {
        if (draft.size > MAX_SPECIAL) throw invalidTar('extended header is too long');
        const special = {
          kind: 'special',
          type: draft.type,
          left: draft.size,
          padding: padding(draft.size),
          parts: [],
        } as const;
        this.#state = { ...special, parts: [] };
        if (draft.size === 0) this.#specialEnd(draft.type, Buffer.alloc(0));
        return;
      }
      default:
        this.#entry(block, draft);
    }
  }

  #special(state: Extract<State, { kind: 'special' }>, bytes: Buffer, at: number): number {
    let used = 0;
    if (state.left > 0) {
      used = Math.min(state.left, bytes.length - at);
      state.parts.push(Buffer.from(bytes.subarray(at, at + used)));
      state.left -= used;
      if (state.left > 0) return used;
    }
    const skip = Math.min(state.padding, bytes.length - at - used);
    state.padding -= skip;
    if (state.padding === 0) this.#specialEnd(state.type, Buffer.concat(state.parts));
    return used + skip;
  }

  #specialEnd(type: string, data: Buffer): void {
    this.#state = { kind: 'header', zeroBlocks: 0 };
    const pending = this.#pending;
    if (type === TarType.GnuLongName || type === TarType.GnuLongLink) {
      const text = readString(data, [0, data.length]);
      if (type === TarType.GnuLongName) pending.longName = text;
      else pending.longLink = text;
      pending.formats &= GNU;
      return;
    }
    const records = foldRecords(parsePaxRecords(data));
    // A global header changes nothing here, as for containerd; that it is well formed has been checked.
    if (type === TarType.PaxGlobal) return;
    pending.pax = records;
    pending.formats &= PAX;
  }

  #entry(block: Buffer, draft: Draft): void {
    const pending = this.#pending;
    this.#pending = noPending();
    const pax = pending.pax;
    if (pax !== undefined) mergeRecords(draft, pax);
    if (pending.longName !== '') draft.name = pending.longName;
    if (pending.longLink !== '') draft.linkname = pending.longLink;
    if (draft.type === '\0') draft.type = draft.name.endsWith('/') ? TarType.Dir : TarType.File;
    const stored = isHeaderOnly(draft.type) ? 0 : draft.size;
    if (stored < 0) throw invalidTar('negative size');
    const format = formatOf(pending.formats);
    if (format === undefined) delete draft.format;
    else draft.format = format;

    if (draft.type === TarType.GnuSparse) {
      if (block.toString('latin1', 257, 265) !== MAGIC_GNU) throw invalidTar('sparse file');
      const map: Array<readonly [number, number]> = [];
      const { extended, realSize } = firstSparseBlock(block, map);
      draft.size = realSize;
      if (extended) this.#state = { kind: 'sparseBlocks', draft, stored, map, blocks: 0 };
      else this.#start(draft, stored, map);
      return;
    }
    const version = pax === undefined ? undefined : sparseVersion(pax);
    if (pax === undefined || version === undefined) {
      this.#start(draft, stored, undefined);
      return;
    }
    if (isHeaderOnly(draft.type)) throw invalidTar('sparse file of another type');
    const name = pax.get('GNU.sparse.name');
    if (name !== undefined && name !== '') draft.name = name;
    const realSize = pax.get('GNU.sparse.size') ?? pax.get('GNU.sparse.realsize');
    if (realSize !== undefined) draft.size = parseDecimal(realSize);
    if (version === '1.0') this.#state = { kind: 'sparseText', draft, stored, text: Buffer.alloc(0) };
    else this.#start(draft, stored, sparseMapOfRecords(pax));
  }

  #start(draft: Draft, stored: number, map: SparseMap | undefined): void {
    const limits = this.#limits;
    if (map !== undefined) {
      checkSparseMap(map, draft.size, stored);
      draft.sparse = map;
    }
    if (!isHeaderOnly(draft.type)) {
      if (draft.size > limits.maxFileBytes) throw limitExceeded('bytes in a file', limits.maxFileBytes);
      this.#total += stored;
      if (this.#total > limits.maxTotalBytes) throw limitExceeded('bytes', limits.maxTotalBytes);
    }
    checkDepth(draft.name, limits.maxDepth);
    this.#sink.entry(draft);
    if (stored === 0) {
      this.#sink.entryEnd();
      this.#state = { kind: 'header', zeroBlocks: 0 };
      return;
    }
    const segments = (map ?? [[0, stored] as const]).filter(([, n]) => n > 0).map(([o, n]): [number, number] => [o, n]);
    this.#state = { kind: 'data', left: stored, padding: padding(stored), segments };
  }

  #data(state: Extract<State, { kind: 'data' }>, bytes: Buffer, at: number): number {
    const segment = state.segments[0] as [number, number];
    const take = Math.min(segment[1], bytes.length - at);
    this.#sink.data(bytes.subarray(at, at + take), segment[0]);
    segment[0] += take;
    segment[1] -= take;
    state.left -= take;
    if (segment[1] === 0) state.segments.shift();
    if (state.left === 0) {
      this.#state = state.padding === 0 ? { kind: 'header', zeroBlocks: 0 } : { kind: 'padding', left: state.padding };
      this.#sink.entryEnd();
    }
    return take;
  }
}

function noPending(): Pending {
  return { pax: undefined, longName: '', longLink: '', formats: ANY };
}

function padding(size: number): number {
  return (BLOCK - (size % BLOCK)) % BLOCK;
}

function formatOf(formats: number): TarFormat | undefined {
  if ((formats & USTAR) !== 0) return 'ustar';
  if ((formats & PAX) !== 0) return 'pax';
  return (formats & GNU) !== 0 ? 'gnu' : undefined;
}

function checkDepth(name: ByteString, maxDepth: number): void {
  let depth = 0;
  for (let i = name.indexOf('/'); i >= 0; i = name.indexOf('/', i + 1)) {
    if (++depth > maxDepth) throw limitExceeded('folders in a name', maxDepth);
  }
}

function endsInZero(block: Buffer, [offset, length]: Place): boolean {
  return block[offset + length - 1] === 0;
}

function nsOfSeconds(value: number): bigint {
  return BigInt(value) * 1_000_000_000n;
}

/** The fields of one header block; narrows `pending.formats` to what the block can be. */
function readFields(block: Buffer, pending: Pending): Draft {
  const magic = block.toString('latin1', 257, 265);
  const star = magic.startsWith('ustar\0') && block.toString('latin1', 508, 512) === 'tar\0';
  const ustar = magic.startsWith('ustar\0') && !star;
  const gnu = magic === MAGIC_GNU;
  const draft: Draft = {
    name: readString(block, Field.name),
    type: String.fromCharCode(block[Field.type[0]] as number),
    mode: readNumber(block, Field.mode),
    uid: readNumber(block, Field.uid),
    gid: readNumber(block, Field.gid),
    size: readNumber(block, Field.size),
    mtimeNs: nsOfSeconds(readNumber(block, Field.mtime)),
    linkname: readString(block, Field.linkname),
    uname: '',
    gname: '',
    devmajor: 0,
    devminor: 0,
  };
  let formats = 0;
  if (ustar || star || gnu) {
    draft.uname = readString(block, Field.uname);
    draft.gname = readString(block, Field.gname);
    draft.devmajor = readNumber(block, Field.devmajor);
    draft.devminor = readNumber(block, Field.devminor);
  }
  let prefix = '';
  if (ustar) {
    prefix = readString(block, Field.prefix);
    const numbers = [Field.size, Field.mode, Field.uid, Field.gid, Field.mtime, Field.devmajor, Field.devminor];
    const strict = numbers.every((place) => endsInZero(block, place)) && isAscii(block.toString('latin1'));
    if (strict) formats = USTAR | PAX;
  } else if (star) {
    prefix = readString(block, [345, 131]);
    draft.atimeNs = nsOfSeconds(readNumber(block, [476, 12]));
    draft.ctimeNs = nsOfSeconds(readNumber(block, [488, 12]));
  } else if (gnu) {
    formats = GNU;
    try {
      if (block[Field.gnuAtime[0]] !== 0) draft.atimeNs = nsOfSeconds(readNumber(block, Field.gnuAtime));
      if (block[Field.gnuCtime[0]] !== 0) draft.ctimeNs = nsOfSeconds(readNumber(block, Field.gnuCtime));
    } catch {
      // Old Go wrote ustar's prefix where GNU keeps these times (golang.org/issue/12594).
      delete draft.atimeNs;
      delete draft.ctimeNs;
      formats = 0;
      const text = readString(block, Field.prefix);
      if (isAscii(text)) prefix = text;
    }
  }
  pending.formats &= formats;
  if (prefix !== '') draft.name = `${prefix}/${draft.name}`;
  return draft;
}

/** Records as a map, the last of a key wins; format 0.0's pairs of sparse records become 0.1's list. */
function foldRecords(list: ReadonlyArray<readonly [ByteString, ByteString]>): Map<ByteString, ByteString> {
  const records = new Map<ByteString, ByteString>();
  const sparse: string[] = [];
  for (const [key, value] of list) {
    if (key === 'GNU.sparse.offset' || key === 'GNU.sparse.numbytes') {
      const wanted = sparse.length % 2 === 0 ? 'GNU.sparse.offset' : 'GNU.sparse.numbytes';
      if (key !== wanted || value.includes(',')) throw invalidTar('sparse map');
      sparse.push(value);
    } else records.set(key, value);
  }
  if (sparse.length > 0) records.set('GNU.sparse.map', sparse.join(','));
  return records;
}

function parseDecimal(text: string): number {
  if (!/^-?[0-9]{1,16}$/.test(text) || !Number.isSafeInteger(Number(text))) throw invalidTar('number');
  return Number(text);
}

function mergeRecords(draft: Draft, records: Map<ByteString, ByteString>): void {
  for (const [key, value] of records) {
    if (value === '') continue;
    if (key === 'path') draft.name = value;
    else if (key === 'linkpath') draft.linkname = value;
    else if (key === 'uname') draft.uname = value;
    else if (key === 'gname') draft.gname = value;
    else if (key === 'uid') draft.uid = parseDecimal(value);
    else if (key === 'gid') draft.gid = parseDecimal(value);
    else if (key === 'size') draft.size = parseDecimal(value);
    else if (key === 'mtime') draft.mtimeNs = parsePaxTime(value);
    else if (key === 'atime') draft.atimeNs = parsePaxTime(value);
    else if (key === 'ctime') draft.ctimeNs = parsePaxTime(value);
  }
  draft.pax = records;
}

function sparseVersion(records: ReadonlyMap<ByteString, ByteString>): '0.x' | '1.0' | undefined {
  const major = records.get('GNU.sparse.major') ?? '';
  const minor = records.get('GNU.sparse.minor') ?? '';
  if (major === '0' && (minor === '0' || minor === '1')) return '0.x';
  if (major === '1' && minor === '0') return '1.0';
  if (major !== '' || minor !== '') return undefined;
  return (records.get('GNU.sparse.map') ?? '') === '' ? undefined : '0.x';
}
