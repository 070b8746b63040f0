/** The two tables of HPACK (RFC 7541, 2.3): the static one and what a peer has added. */

/** Appendix A, as name and value in turns; the first entry has index 1. */
const STATIC = [
  ':authority',
  '',
  ':method',
  'GET',
  ':method',
  'POST',
  ':path',
  '/',
  ':path',
  '/index.html',
  ':scheme',
  'http',
  ':scheme',
  'https',
  ':status',
  '200',
  ':status',
  '204',
  ':status',
  '206',
  ':status',
  '304',
  ':status',
  '400',
  ':status',
  '404',
  ':status',
  '500',
  'accept-charset',
  '',
  'accept-encoding',
  'gzip, deflate',
  'accept-language',
  '',
  'accept-ranges',
  '',
  'accept',
  '',
  'access-control-allow-origin',
  '',
  'age',
  '',
  'allow',
  '',
  'authorization',
  '',
  'cache-control',
  '',
  'content-disposition',
  '',
  'content-encoding',
  '',
  'content-language',
  '',
  'content-length',
  '',
  'content-location',
  '',
  'content-range',
  '',
  'content-type',
  '',
  'cookie',
  '',
  'date',
  '',
  'etag',
  '',
  'expect',
  '',
  'expires',
  '',
  'from',
  '',
  'host',
  '',
  'if-match',
  '',
  'if-modified-since',
  '',
  'if-none-match',
  '',
  'if-range',
  '',
  'if-unmodified-since',
  '',
  'last-modified',
  '',
  'link',
  '',
  'location',
  '',
  'max-forwards',
  '',
  'proxy-authenticate',
  '',
  'proxy-authorization',
  '',
  'range',
  '',
  'referer',
  '',
  'refresh',
  '',
  'retry-after',
  '',
  'server',
  '',
  'set-cookie',
  '',
  'strict-transport-security',
  '',
  'transfer-encoding',
  '',
  'user-agent',
  '',
  'vary',
  '',
  'via',
  '',
  'www-authenticate',
  '',
];
export const STATIC_ENTRIES = STATIC.length / 2;

export function staticName(index: number): string {
  return STATIC[(index - 1) * 2];
}

export function staticValue(index: number): string {
  return STATIC[(index - 1) * 2 + 1];
}

/** Index by name (the first that has it) and by `name\0value`. */
export const STATIC_INDEX: ReadonlyMap<string, number> = (() => {
  const out = new Map<string, number>();
  for (let i = STATIC_ENTRIES; i >= 1; i--) {
    out.set(staticName(i), i);
    if (staticValue(i) !== '') out.set(`${staticName(i)}\0${staticValue(i)}`, i);
  }
  return out;
})();

/** What an entry counts beyond its text (RFC 7541, 4.1). */
export const ENTRY_OVERHEAD = 32;
/** SETTINGS_HEADER_TABLE_SIZE, of which we announce nothing else. */
export const TABLE_SIZE = 4096;

/** Entries that the encoder has added, the newest first. */
export class DynamicTable {
  /** The oldest first. */
  readonly #names: string[] = [];
  readonly #values: string[] = [];
  #size = 0;
  #limit = TABLE_SIZE;

  get length(): number {
    return this.#names.length;
  }

  /** 0 is the newest. */
  name(index: number): string {
    return this.#names[this.#names.length - 1 - index];
  }

  value(index: number): string {
    return this.#values[this.#values.length - 1 - index];
  }

  /** An entry larger than the table empties it (RFC 7541, 4.4). Text has one byte a character. */
  add(name: string, value: string): void {
    const size = name.length + value.length + ENTRY_OVERHEAD;
    this.#evict(this.#limit - size);
    if (size > this.#limit) return;
    this.#names.push(name);
    this.#values.push(value);
    this.#size += size;
  }

  resize(limit: number): void {
    this.#limit = limit;
    this.#evict(limit);
  }

  #evict(limit: number): void {
    while (this.#size > limit && this.#names.length > 0) {
      const name = this.#names.shift() as string;
      const value = this.#values.shift() as string;
      this.#size -= name.length + value.length + ENTRY_OVERHEAD;
    }
  }
}
