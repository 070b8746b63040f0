import type { JobContext } from '../base/index.ts';
import { invalidArgument } from '../base/index.ts';
import { decodePacket } from './packet-codec.ts';
import type { Packet, PacketBlock, PacketWriter } from './packet-codec.ts';
import { CREDIT } from './transfer-messages.ts';
import type { FromWorker, ToWorker } from './transfer-messages.ts';

/** The worker's end of the connection: blocks in, blocks out, waiting for either. */
export class WorkerLink {
  readonly #context: JobContext;
  readonly #arrived: PacketBlock[] = [];
  #credit = CREDIT;
  #ended = false;
  #wake: (() => void) | undefined;

  constructor(context: JobContext) {
    this.#context = context;
    context.onMessage = (message: ToWorker) => {
      if (message.kind === 'packets') this.#arrived.push(message.block);
      else if (message.kind === 'end') this.#ended = true;
      else if (message.kind === 'written') this.#credit++;
      this.#wake?.();
    };
  }

  get hasArrived(): boolean {
    return this.#arrived.length > 0;
  }

  /** The peer has half-closed and all it sent was taken. */
  get hasEnded(): boolean {
    return this.#ended && this.#arrived.length === 0;
  }

  get canWrite(): boolean {
    return this.#credit > 0;
  }

  /** Resolves when something has changed; throws Canceled once the job is aborted. */
  async wait(): Promise<void> {
    this.#context.check();
    await new Promise<void>((resolve) => (this.#wake = resolve));
    this.#wake = undefined;
    this.#context.check();
  }

  /** Lets messages in without waiting for one. */
  async breathe(): Promise<void> {
    await new Promise<void>((resolve) => setImmediate(resolve));
    this.#context.check();
  }

  /** Works on the next block, whose memory is free for others afterwards; its credit goes back to the connection even though the job may end in it. */
  take(handle: (packet: Packet, size: number) => void): void {
    const block = this.#arrived.shift();
    if (block === undefined) return;
    const bytes = Buffer.from(block.bytes.buffer, block.bytes.byteOffset, block.bytes.byteLength);
    let start = 0;
    for (const end of block.ends) {
      handle(decodePacket(bytes, start, end), end - start);
      start = end;
    }
    this.#context.emit({ kind: 'taken' } satisfies FromWorker);
  }

  write(packets: PacketWriter): void {
    if (packets.count === 0) return;
    const block = packets.take();
    this.#credit--;
    this.#context.emit({ kind: 'packets', block } satisfies FromWorker, [block.bytes.buffer as ArrayBuffer]);
  }

  event(event: unknown): void {
    this.#context.emit({ kind: 'event', event } satisfies FromWorker);
  }

  unexpected(type: number): Error {
    return invalidArgument(`unexpected packet of type ${type}`);
  }
}
