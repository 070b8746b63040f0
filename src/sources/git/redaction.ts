/** Keeps credentials out of what people read. */

const MASK = 'xxxxx';
/** A longer line is passed on in pieces. */
const MAX_LINE = 64 * 1024;

export class Redaction {
  readonly #secrets: readonly string[];

  constructor(secrets: readonly string[]) {
    // The longest first: one may be part of another.
    this.#secrets = secrets.filter((s) => s !== '').toSorted((a, b) => b.length - a.length);
  }

  with(...secrets: string[]): Redaction {
    return new Redaction([...this.#secrets, ...secrets]);
  }

  text(text: string): string {
    let out = text;
    for (const secret of this.#secrets) out = out.replaceAll(secret, MASK);
    return out;
  }

  /** Lines come out whole, so that nothing slips through between two chunks. `end` gives the rest. */
  lines(emit: (data: Buffer) => void): { write(data: Buffer): void; end(): void } {
    let rest = '';
    const show = (text: string): void => {
      if (text !== '') emit(Buffer.from(this.text(text), 'latin1'));
    };
    return {
      write: (data) => {
        // Bytes as they are: latin1 is one character a byte.
        rest += data.toString('latin1');
        const at = Math.max(rest.lastIndexOf('\n'), rest.lastIndexOf('\r')) + 1;
        const end = rest.length - at > MAX_LINE ? rest.length : at;
        show(rest.slice(0, end));
        rest = rest.slice(end);
      },
      end: () => {
        show(rest);
        rest = '';
      },
    };
  }
}

/** User name and password of a URL, as they are written and as they are meant. */
export function urlSecrets(url: string): string[] {
  const user = /^[a-zA-Z][a-zA-Z0-9+.-]*:\/\/([^/?#]*)@/.exec(url)?.[1];
  if (user === undefined) return [];
  const at = user.indexOf(':');
  const secrets = at < 0 ? [user] : [user, user.slice(at + 1)];
  const plain = secrets.map((secret) => {
    try {
      return decodeURIComponent(secret);
    } catch {
      return secret;
    }
  });
  // A name alone is often a word of every text ("git"), and then no secret: only the whole of it goes.
  return at < 0 ? (user.length >= 16 ? [user, ...plain] : []) : [...new Set([...secrets, ...plain])];
}
