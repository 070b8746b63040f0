/** The bytes of a Dockerfile as lines with their ends, within limits. */
import { textError, withLocation } from '../located-error.ts';

const MAX_LINE_BYTES = 65_536;

/** UTF-8 without byte order mark. Throws for what cannot be text. */
export function decodeSource(bytes: Uint8Array): string {
  const nul = bytes.indexOf(0);
  if (nul >= 0) {
    let line = 1;
    for (let at = bytes.indexOf(10); at >= 0 && at < nul; at = bytes.indexOf(10, at + 1)) line++;
    throw withLocation(textError(`dockerfile is not a text file: null byte on line ${line}`), [
      { start: line, end: line },
    ]);
  }
  return new TextDecoder().decode(bytes);
}

export class LineReader {
  readonly #text: string;
  #at = 0;
  /** Lines given out. */
  line = 0;
  /** Set when a line was over the limit: reading has ended there. */
  tooLong = false;

  constructor(text: string) {
    this.#text = text;
  }

  /** The next line with its `\n`; undefined at the end. */
  next(): string | undefined {
    if (this.tooLong || this.#at >= this.#text.length) return undefined;
    const end = this.#text.indexOf('\n', this.#at);
    const line = end < 0 ? this.#text.slice(this.#at) : this.#text.slice(this.#at, end + 1);
    if (line.length > MAX_LINE_BYTES / 4 && Buffer.byteLength(line) > MAX_LINE_BYTES - (end < 0 ? 1 : 0)) {
      this.tooLong = true;
      return undefined;
    }
    this.#at += line.length;
    this.line++;
    return line;
  }

  /** Throws when reading ended at a line that was too long. */
  check(): void {
    if (!this.tooLong) return;
    throw withLocation(textError(`dockerfile line greater than max allowed size of ${MAX_LINE_BYTES - 1}`), [
      { start: this.line, end: this.line },
    ]);
  }
}
