/** The sending end of a transfer, in its worker thread: the listing runs ahead, data follows as it is asked for. */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { fromByteString, fsPath, toByteString } from '../archive/index.ts';
import type { ByteString } from '../archive/index.ts';
import { BuildError, Code, invalidArgument } from '../base/index.ts';
import type { JobContext } from '../base/index.ts';
import { hasData } from './go-mode.ts';
import { listTrees } from './sent-listing.ts';
import type { Listed } from './sent-listing.ts';
import { PacketType, PacketWriter } from './packet-codec.ts';
import type { Packet } from './packet-codec.ts';
import { pathError } from './path-error.ts';
import type { SendOptions, SentTree } from './types.ts';
import { WorkerLink } from './worker-link.ts';

export interface SendArgs extends Omit<SendOptions, 'onProgress' | 'signal'> {
  readonly trees: readonly SentTree[];
}

export interface SendEvent {
  readonly bytes: number;
}

/** fsutil's size of a DATA packet. */
const CHUNK = 32 * 1024;
const BLOCK = 1 << 20;
/** So that the receiver has something to do early. */
const STATS_PER_BLOCK = 1024;

interface Source {
  readonly root: string;
  /** In the tree, without prefix. */
  readonly path: ByteString;
  readonly size: number;
}

interface Sending {
  readonly id: number;
  readonly source: Source;
  /** undefined: there is nothing to read. */
  readonly fd: number | undefined;
  left: number;
}

class Sender {
  readonly #link: WorkerLink;
  readonly #entries: Generator<Listed, void, void>;
  readonly #sources = new Map<number, Source>();
  readonly #asked = new Map<number, Source>();
  readonly #requested: number[] = [];
  #nextId = 0;
  #listed = false;
  #sending: Sending | undefined;
  #finished = false;
  #bytes = 0;

  constructor(args: SendArgs, link: WorkerLink) {
    this.#link = link;
    this.#entries = listTrees(args.trees, args);
  }

  async run(): Promise<void> {
    const out = new PacketWriter();
    try {
      while (!this.#finished) {
        while (this.#link.hasArrived) this.#link.take((packet) => this.#take(packet));
        if (!this.#finished && this.#link.hasEnded) throw new BuildError(Code.Unavailable, 'unexpected EOF');
        if (!this.#link.canWrite) {
          await this.#link.wait();
          continue;
        }
        this.#fill(out);
        this.#bytes += out.length;
        if (this.#finished) out.fin();
        if (out.count > 0) {
          this.#link.write(out);
          this.#link.event({ bytes: this.#bytes } satisfies SendEvent);
          if (!this.#finished) await this.#link.breathe();
        } else if (!this.#finished) await this.#link.wait();
      }
    } catch (error) {
      // The receiver shall know why; it gets what is in the block before, which does no harm.
      if (!(error instanceof ReceiverError)) {
        const last = new PacketWriter();
        last.error(error instanceof Error ? error.message : String(error));
        this.#link.write(last);
      }
      throw error instanceof ReceiverError ? error.error : error;
    } finally {
      this.#entries.return();
      this.#close();
    }
  }

  #take(packet: Packet): void {
    if (this.#finished) throw invalidArgument('packet after the end of the transfer');
    if (packet.type === PacketType.Req) {
      const source = this.#sources.get(packet.id);
      if (source === undefined) throw invalidArgument(`invalid file id ${packet.id}`);
      this.#sources.delete(packet.id);
      this.#asked.set(packet.id, source);
      this.#requested.push(packet.id);
    } else if (packet.type === PacketType.Fin) {
      if (!this.#listed || this.#asked.size > 0) throw invalidArgument('transfer ended before all was sent');
      this.#finished = true;
    } else if (packet.type === PacketType.Err) {
      throw new ReceiverError(Buffer.from(packet.data ?? []).toString('utf8'));
    } else throw this.#link.unexpected(packet.type);
  }

  #fill(out: PacketWriter): void {
    for (let i = 0; !this.#listed && i < STATS_PER_BLOCK; i++) {
      const next = this.#entries.next();
      if (next.done === true) {
        this.#listed = true;
        out.stat(undefined);
        break;
      }
      const { stat, path, root } = next.value;
      if (hasData(stat.mode)) this.#sources.set(this.#nextId, { root, path, size: Number(stat.size) });
      this.#nextId++;
      out.stat(stat);
    }
    while (out.length < BLOCK) {
      if (this.#sending === undefined) {
        const id = this.#requested.shift();
        if (id === undefined) return;
        this.#sending = this.#open(id);
      }
      this.#sendChunk(out, this.#sending);
    }
  }

  #open(id: number): Sending {
    const source = this.#asked.get(id) as Source;
    this.#asked.delete(id);
    // Among what is empty are sockets, which go as files (fsutil/stat.go) and cannot be opened.
    if (source.size === 0) return { id, source, fd: undefined, left: 0 };
    let fd: number;
    try {
      const flags = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW;
      fd = openSync(fsPath(`${toByteString(source.root)}/${source.path}`), flags);
    } catch (error) {
      throw pathError(error, 'failed to send', fromByteString(source.path));
    }
    const stats = fstatSync(fd);
    if (!stats.isFile() || stats.size < source.size) {
      closeSync(fd);
      throw changed(source);
    }
    return { id, source, fd, left: source.size };
  }

  /** A file that has grown is sent as long as it was announced: it may be the log of this very build. */
  #sendChunk(out: PacketWriter, sending: Sending): void {
    if (sending.fd !== undefined) {
      const chunk = scratch.subarray(0, Math.min(CHUNK, sending.left));
      let read: number;
      try {
        read = readSync(sending.fd, chunk, 0, chunk.length, null);
      } catch (error) {
        throw pathError(error, 'failed to send', fromByteString(sending.source.path));
      }
      if (read === 0) throw changed(sending.source);
      sending.left -= read;
      out.data(sending.id, chunk.subarray(0, read));
    }
    if (sending.left > 0) return;
    const before = out.length;
    out.data(sending.id, chunk0);
    // Ends are not progress: upstream's numbers know only listing and data.
    this.#bytes -= out.length - before;
    this.#close();
  }

  #close(): void {
    if (this.#sending?.fd !== undefined) closeSync(this.#sending.fd);
    this.#sending = undefined;
  }
}

const scratch = Buffer.allocUnsafeSlow(CHUNK);
const chunk0 = new Uint8Array(0);

/** The receiver said what went wrong: it need not be told. */
class ReceiverError extends Error {
  readonly error: BuildError;

  constructor(text: string) {
    super(text);
    this.error = new BuildError(Code.Unknown, `error from receiver: ${text}`);
  }
}

function changed(source: Source): Error {
  return new BuildError(
    Code.FailedPrecondition,
    `failed to send ${fromByteString(source.path)}: file changed while it was sent`,
  );
}

export async function sendJob(args: SendArgs, context: JobContext): Promise<void> {
  await new Sender(args, new WorkerLink(context)).run();
}
