import type { Stat } from '../proto/fsutil_stat.pb.ts';
import { fromByteString } from '../archive/index.ts';
import type { ByteString } from '../archive/index.ts';
import { BuildError, Code } from '../base/index.ts';
import { isDir } from './go-mode.ts';
import { PacketWriter } from './packet-codec.ts';
import { parentOf } from './path-order.ts';
import { PatternMatcher } from './patterns.ts';

/** Where a metadata-only transfer leaves its listing (fsutil/receive.go). */
export const METADATA_FILE = '.fsutil-metadata';
const MAX_BYTES = 256 * 2 ** 20;

interface Listed {
  readonly id: number;
  readonly stat: Stat;
}

/**
 * A transfer of stats only: each is kept as its length (uint32, little endian) and its message; only what the exceptions match
 * is taken as well, with the folders it is in.
 */
export class MetadataListing {
  readonly #exceptions: PatternMatcher;
  readonly #parts: Buffer[] = [];
  #size = 0;
  /** Folders that are open and have not been taken. */
  #held: Listed[] = [];
  readonly #path: ByteString[] = [];

  constructor(exceptions: readonly string[]) {
    this.#exceptions = new PatternMatcher(exceptions);
  }

  /** What is to be taken because of this entry, in order. */
  add(id: number, stat: Stat): readonly Listed[] {
    const message = PacketWriter.encodeStat(stat);
    const length = Buffer.alloc(4);
    length.writeUInt32LE(message.length);
    this.#parts.push(length, message);
    this.#size += message.length + 4;
    if (this.#size > MAX_BYTES)
      throw new BuildError(Code.ResourceExhausted, `listing is larger than ${MAX_BYTES} bytes`);
    const parent = parentOf(stat.path);
    while (this.#path.length > 0 && this.#path.at(-1) !== parent) this.#path.pop();
    this.#held = this.#held.filter((h) => this.#path.includes(h.stat.path));
    if (isDir(stat.mode)) this.#path.push(stat.path);
    if (!this.#exceptions.matches(fromByteString(stat.path))) {
      if (isDir(stat.mode)) this.#held.push({ id, stat });
      return [];
    }
    const taken = [...this.#held, { id, stat }];
    this.#held = [];
    return taken;
  }

  encoded(): Buffer {
    return Buffer.concat(this.#parts);
  }
}
