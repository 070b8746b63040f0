/** The receiving end of a transfer, in its worker thread: the listing and the local tree are walked side by side. */

import { closeSync, fsyncSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import type { ByteString } from '../archive/index.ts';
import { BuildError, Code, invalidArgument } from '../base/index.ts';
import type { JobContext } from '../base/index.ts';
import type { Stat } from '../proto/fsutil_stat.pb.ts';
import { isDir } from './go-mode.ts';
import { ListingValidator } from './listing-validator.ts';
import { METADATA_FILE, MetadataListing } from './metadata-listing.ts';
import { PacketType, PacketWriter } from './packet-codec.ts';
import type { Packet } from './packet-codec.ts';
import { comparePaths } from './path-order.ts';
import { TreeWriter } from './tree-writer.ts';
import type { PendingFile } from './tree-writer.ts';
import { GoMode } from './types.ts';
import type { ReceiveResult, TreeChange } from './types.ts';
import { walkTree } from './walk.ts';
import type { WalkEntry } from './walk.ts';
import { WorkerLink } from './worker-link.ts';

export interface ReceiveArgs {
  readonly root: string;
  readonly merge: boolean;
  readonly differ: 'none' | 'metadata';
  readonly owner: { readonly uid: number; readonly gid: number } | undefined;
  readonly wantsChanges: boolean;
  /** Made before the first change. */
  readonly marker: string | undefined;
  /** Given: only stats are taken, and data of what matches these. */
  readonly exceptions: readonly string[] | undefined;
  /** Gives up as soon as anything would have to be changed, or the transfer turns out to be no small one. */
  readonly onlyLooks?: boolean;
}

const SMALL_LISTING = 64;
const SMALL_BYTES = 256 << 10;

/** Thrown by a receiver that only looks, before it has changed anything. */
class GivenUp extends Error {}

export interface ReceiveEvent {
  /** Of packets, so far. */
  readonly bytes: number;
  readonly changes: readonly TreeChange[] | undefined;
}

type Phase = 'listing' | 'data' | 'ending' | 'ended';

class Receiver {
  readonly #args: ReceiveArgs;
  readonly #link: WorkerLink;
  readonly #writer: TreeWriter;
  readonly #validator = new ListingValidator();
  readonly #metadata: MetadataListing | undefined;
  readonly #local: Generator<WalkEntry, void, void> | undefined;
  #localEntry: WalkEntry | undefined;
  readonly #out = new PacketWriter();
  readonly #requests = new Map<number, PendingFile>();
  #nextId = 0;
  #phase: Phase = 'listing';
  #bytes = 0;
  #reported = 0;
  #files = 0;
  #dataBytes = 0;
  #changeCount = 0;
  #changes: TreeChange[] = [];

  constructor(args: ReceiveArgs, link: WorkerLink) {
    this.#args = args;
    this.#link = link;
    this.#metadata = args.exceptions === undefined ? undefined : new MetadataListing(args.exceptions);
    const onChange = (change: TreeChange): void => {
      this.#changeCount++;
      if (args.wantsChanges) this.#changes.push(change);
    };
    mkdirSync(args.root, { recursive: true, mode: 0o700 });
    const { marker } = args;
    const beforeFirst = (): void => {
      if (args.onlyLooks === true) throw new GivenUp();
      if (marker !== undefined) placeMarker(marker);
    };
    this.#writer = new TreeWriter(args.root, { hashes: args.wantsChanges, beforeFirst, onChange });
    if (!args.merge) this.#local = walkTree(args.root, { xattrs: false });
  }

  /** undefined: it has given up. */
  async run(): Promise<ReceiveResult | undefined> {
    try {
      this.#advanceLocal();
      for (;;) {
        while (this.#link.hasArrived) {
          this.#link.take((packet, size) => this.#handle(packet, size));
          this.#report();
          this.#flush();
          await this.#link.breathe();
        }
        this.#finishWhenComplete();
        this.#report();
        this.#flush();
        if (this.#link.hasEnded) {
          if (this.#phase === 'ended') break;
          throw new BuildError(Code.Unavailable, 'unexpected EOF');
        }
        await this.#link.wait();
      }
      return { files: this.#files, bytes: this.#dataBytes, changes: this.#changeCount };
    } catch (error) {
      if (error instanceof GivenUp) return undefined;
      this.#report();
      if (!(error instanceof SenderError)) {
        const last = new PacketWriter();
        last.error(error instanceof Error ? error.message : String(error));
        this.#link.write(last);
      }
      throw error instanceof SenderError ? error.error : error;
    } finally {
      this.#local?.return();
      this.#writer.close();
    }
  }

  /** Requests are a few bytes for each entry of a listing whose length is limited, so they may wait for credit. */
  #flush(): void {
    if (this.#link.canWrite) this.#link.write(this.#out);
  }

  #report(): void {
    if (this.#bytes === this.#reported && this.#changes.length === 0) return;
    this.#reported = this.#bytes;
    this.#link.event({ bytes: this.#bytes, changes: this.#changes } satisfies ReceiveEvent);
    this.#changes = [];
  }

  #handle(packet: Packet, size: number): void {
    this.#bytes += size;
    if (this.#args.onlyLooks === true && (this.#bytes > SMALL_BYTES || this.#nextId > SMALL_LISTING))
      throw new GivenUp();
    if (packet.type === PacketType.Err) {
      throw new SenderError(Buffer.from(packet.data ?? []).toString('utf8'));
    }
    if (this.#phase === 'ended') throw invalidArgument('packet after the end of the transfer');
    if (packet.type === PacketType.Stat) {
      if (this.#phase !== 'listing') throw invalidArgument('stat after the end of the listing');
      if (packet.stat === undefined) this.#endListing();
      else this.#list(packet.stat);
    } else if (packet.type === PacketType.Data) this.#data(packet);
    else if (packet.type === PacketType.Fin) {
      if (this.#phase !== 'ending') throw invalidArgument('transfer ended before all was sent');
      this.#phase = 'ended';
    } else throw this.#link.unexpected(packet.type);
  }

  #list(stat: Stat): void {
    const id = this.#nextId++;
    this.#validator.check(stat);
    if (this.#args.owner !== undefined) {
      stat.uid = this.#args.owner.uid;
      stat.gid = this.#args.owner.gid;
    }
    if (this.#metadata === undefined) {
      this.#place(id, stat);
      return;
    }
    if (stat.path === METADATA_FILE) return;
    for (const wanted of this.#metadata.add(id, stat)) this.#place(wanted.id, wanted.stat);
  }

  #place(id: number, stat: Stat): void {
    if (isDir(stat.mode)) this.#writer.noteFolder(stat);
    this.#removeBefore(stat.path);
    const local = this.#localEntry;
    let kind: 'add' | 'modify' = 'add';
    let existing: { readonly isDir: boolean } | undefined;
    if (local !== undefined && local.stat.path === stat.path) {
      kind = 'modify';
      existing = { isDir: isDir(local.stat.mode) };
      const same = this.#args.differ !== 'none' && isSame(local.stat, stat);
      if (!isDir(stat.mode)) local.skip();
      if (same) {
        this.#advanceLocal();
        return;
      }
      if (isPlainFile(stat) && isSame(local.stat, stat)) {
        this.#advanceLocal();
        this.#request(id, this.#writer.awaitSame(stat));
        return;
      }
    } else if (this.#args.merge) {
      existing = this.#writer.existing(stat.path);
      if (existing !== undefined) kind = 'modify';
    }
    const file = this.#writer.apply(kind, stat, existing);
    if (kind === 'modify' && !this.#args.merge) this.#advanceLocal();
    if (file !== undefined) this.#request(id, file);
  }

  #request(id: number, file: PendingFile): void {
    this.#requests.set(id, file);
    this.#out.request(id);
  }

  /** Removes what the local tree has before `path` and the listing has not. */
  #removeBefore(path: ByteString | undefined): void {
    while (this.#localEntry !== undefined) {
      const local = this.#localEntry;
      if (path !== undefined && comparePaths(local.stat.path, path) >= 0) return;
      local.skip();
      this.#writer.remove(local.stat.path);
      this.#advanceLocal();
    }
  }

  /** A folder is read only now, when the entry after it is asked for; files that are being received are in none that is read later. */
  #advanceLocal(): void {
    const next = this.#local?.next();
    this.#localEntry = next === undefined || next.done === true ? undefined : next.value;
  }

  #data(packet: Packet): void {
    const file = this.#requests.get(packet.id);
    if (file === undefined) throw invalidArgument(`invalid file request ${packet.id}`);
    if (packet.data !== undefined && packet.data.length > 0) {
      this.#writer.write(file, packet.data);
      this.#dataBytes += packet.data.length;
      return;
    }
    this.#writer.finish(file);
    this.#requests.delete(packet.id);
    this.#files++;
  }

  #endListing(): void {
    this.#removeBefore(undefined);
    this.#phase = 'data';
    this.#finishWhenComplete();
  }

  #finishWhenComplete(): void {
    if (this.#phase !== 'data' || this.#requests.size > 0) return;
    this.#writer.restoreTimes();
    if (this.#metadata !== undefined) this.#writer.writeOwnFile(METADATA_FILE, this.#metadata.encoded());
    this.#out.fin();
    this.#phase = 'ending';
  }
}

/** An empty file whose name is on the disk when this returns. */
function placeMarker(path: string): void {
  closeSync(openSync(path, 'a', 0o600));
  const folder = openSync(dirname(path), 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

/** With data of its own. */
function isPlainFile(stat: Stat): boolean {
  return (stat.mode & GoMode.Type) === 0 && stat.linkname === '';
}

/** fsutil's metadata comparison: neither extended attributes nor the times of folders count. */
function isSame(local: Stat, listed: Stat): boolean {
  return (
    local.mode === listed.mode &&
    local.uid === listed.uid &&
    local.gid === listed.gid &&
    local.linkname === listed.linkname &&
    local.devmajor === listed.devmajor &&
    local.devminor === listed.devminor &&
    (isDir(listed.mode) || (local.size === listed.size && local.modTime === listed.modTime))
  );
}

/** The sender said what went wrong: it need not be told. */
class SenderError extends Error {
  readonly error: BuildError;

  constructor(text: string) {
    super(text);
    this.error = new BuildError(Code.Unknown, `error from sender: ${text}`);
  }
}

/** undefined: it only looks, and has given up. */
export async function receiveJob(args: ReceiveArgs, context: JobContext): Promise<ReceiveResult | undefined> {
  return new Receiver(args, new WorkerLink(context)).run();
}
