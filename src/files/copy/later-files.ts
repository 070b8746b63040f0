import type { ByteString } from '../../archive/index.ts';

/** Files of one folder that are to be put into another one. Paths are below their roots, '' being the root itself. */
export interface LaterFolder {
  readonly source: ByteString;
  readonly target: ByteString;
  readonly names: ReadonlyArray<{ readonly from: ByteString; readonly to: ByteString }>;
  /** What the target folder's times are once its files are there; undefined: as they happen to be. */
  readonly times: { readonly atimeNs: bigint; readonly mtimeNs: bigint } | undefined;
}

/**
 * The regular files of a copy, gathered while its folders and everything else are made. As bytes they go from thread to thread
 * at no cost, however many there are: fields that each end in a zero byte, which no name has.
 */
export class LaterFiles {
  readonly #sourceRoot: ByteString;
  readonly #targetRoot: ByteString;
  readonly #fields: string[] = [];

  /** Roots without a slash at their end. */
  constructor(sourceRoot: ByteString, targetRoot: ByteString) {
    this.#sourceRoot = sourceRoot;
    this.#targetRoot = targetRoot;
  }

  /** The folders' paths are full ones here. */
  add({ source, target, names, times }: LaterFolder): void {
    const [from, to] = [below(this.#sourceRoot, source), below(this.#targetRoot, target)];
    this.#fields.push('', from, to, times === undefined ? '' : `${times.atimeNs} ${times.mtimeNs}`);
    for (const name of names) this.#fields.push(name.from, name.from === name.to ? '' : name.to);
  }

  encoded(): Uint8Array {
    const text = this.#fields.map((field) => `${field}\0`).join('');
    // A buffer of its own, which can be transferred.
    const bytes = Buffer.allocUnsafeSlow(text.length);
    bytes.write(text, 'latin1');
    return bytes;
  }
}

function below(root: ByteString, path: ByteString): ByteString {
  return path.slice(root.length + 1);
}

/** One folder at a time. */
export function* decodeLaterFiles(bytes: Uint8Array): Generator<LaterFolder> {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  const next = (): string => {
    const end = buffer.indexOf(0, at);
    const field = buffer.toString('latin1', at, end);
    at = end + 1;
    return field;
  };
  let folder: { -readonly [K in keyof LaterFolder]: LaterFolder[K] } | undefined;
  let names: Array<{ from: ByteString; to: ByteString }> = [];
  while (at < buffer.length) {
    const first = next();
    const second = next();
    if (first !== '') {
      names.push({ from: first, to: second === '' ? first : second });
      continue;
    }
    if (folder !== undefined) yield folder;
    const target = next();
    const [atimeNs, mtimeNs] = next().split(' ');
    names = [];
    const times = mtimeNs === undefined ? undefined : { atimeNs: BigInt(atimeNs as string), mtimeNs: BigInt(mtimeNs) };
    folder = { source: second, target, names, times };
  }
  if (folder !== undefined) yield folder;
}
