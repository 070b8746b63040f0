/**
 * Names in archives and file systems are bytes, not text. A byte string holds one byte in each character (0–255): it compares,
 * joins and splits like a name, sorts in byte order, and equals the text as long as that is ASCII.
 */
export type ByteString = string;

// oxlint-disable-next-line no-control-regex
const NOT_ASCII = /[^\x00-\x7f]/;

export function isAscii(text: string): boolean {
  return !NOT_ASCII.test(text);
}

export function toByteString(text: string): ByteString {
  return isAscii(text) ? text : Buffer.from(text, 'utf8').toString('latin1');
}

/** Bytes that are not UTF-8 turn into U+FFFD: only for text that people read. */
export function fromByteString(bytes: ByteString): string {
  return isAscii(bytes) ? bytes : Buffer.from(bytes, 'latin1').toString('utf8');
}

/** What node:fs takes as a path: a string where that says the same, else the bytes. */
export function fsPath(bytes: ByteString): string | Buffer {
  return isAscii(bytes) ? bytes : Buffer.from(bytes, 'latin1');
}
