import { COMPRESSION_ERROR, ConnectionFault } from './faults.ts';
import { DynamicTable, ENTRY_OVERHEAD, STATIC_ENTRIES, staticName, staticValue, TABLE_SIZE } from './hpack-tables.ts';
import { decodeHuffman } from './huffman.ts';
import { MAX_HEADER_FIELDS, MAX_HEADER_LIST } from './limits.ts';

/** Names and values in turns, repeated names as often as they came. */
export type Fields = readonly string[];

/** Beyond what any length or index can be; five bytes more would not fit a number that shifts can make. */
const LARGEST_INTEGER = 1 << 28;

const NOTHING = Buffer.alloc(0);

function fault(message: string): ConnectionFault {
  return new ConnectionFault(COMPRESSION_ERROR, message);
}

/** Header blocks of one direction of a connection to lists of fields (RFC 7541); the table is kept between them. */
export class HpackDecoder {
  readonly #table = new DynamicTable();
  #bytes: Buffer = NOTHING;
  #at = 0;

  /**
   * Undefined when the list is beyond our limits: it was read to its end nonetheless, for the table's sake. Throws a
   * ConnectionFault: after that the table is not the peer's any more.
   */
  decode(block: Uint8Array): Fields | undefined {
    this.#bytes = Buffer.from(block.buffer, block.byteOffset, block.length);
    this.#at = 0;
    const out: string[] = [];
    let size = 0;
    let count = 0;
    while (this.#at < block.length) {
      const byte = block[this.#at];
      if ((byte & 0xe0) === 0x20) {
        if (count > 0) throw fault('table size update behind a field');
        this.#resize();
        continue;
      }
      let name: string;
      let value: string;
      if ((byte & 0x80) !== 0) {
        const index = this.#integer(0x7f);
        name = this.#name(index);
        value = index <= STATIC_ENTRIES ? staticValue(index) : this.#table.value(index - STATIC_ENTRIES - 1);
      } else {
        const indexed = (byte & 0x40) !== 0;
        const index = this.#integer(indexed ? 0x3f : 0x0f);
        name = index === 0 ? this.#string() : this.#name(index);
        value = this.#string();
        if (indexed) this.#table.add(name, value);
      }
      count++;
      size += name.length + value.length + ENTRY_OVERHEAD;
      if (size <= MAX_HEADER_LIST && count <= MAX_HEADER_FIELDS) out.push(name, value);
    }
    this.#bytes = NOTHING;
    return size <= MAX_HEADER_LIST && count <= MAX_HEADER_FIELDS ? out : undefined;
  }

  #resize(): void {
    const size = this.#integer(0x1f);
    if (size > TABLE_SIZE) throw fault(`header table of ${size} bytes is too large`);
    this.#table.resize(size);
  }

  #name(index: number): string {
    if (index === 0 || index > STATIC_ENTRIES + this.#table.length) throw fault(`no header field ${index}`);
    return index <= STATIC_ENTRIES ? staticName(index) : this.#table.name(index - STATIC_ENTRIES - 1);
  }

  /** RFC 7541, 5.1; `mask` covers the bits of the first byte that belong to it. */
  #integer(mask: number): number {
    const bytes = this.#bytes;
    if (this.#at >= bytes.length) throw fault('header block ends inside a field');
    let value = bytes[this.#at++] & mask;
    if (value < mask) return value;
    for (let shift = 0; ; shift += 7) {
      if (this.#at >= bytes.length) throw fault('header block ends inside a field');
      if (shift > 21) throw fault('integer is too large');
      const byte = bytes[this.#at++];
      value += (byte & 0x7f) << shift;
      if (value > LARGEST_INTEGER) throw fault('integer is too large');
      if (byte < 0x80) return value;
    }
  }

  #string(): string {
    const huffman = (this.#bytes[this.#at] & 0x80) !== 0;
    const length = this.#integer(0x7f);
    const from = this.#at;
    if (length > this.#bytes.length - from) throw fault('header block ends inside a string');
    this.#at = from + length;
    if (huffman) return decodeHuffman(this.#bytes, from, this.#at);
    return this.#bytes.toString('latin1', from, this.#at);
  }
}
