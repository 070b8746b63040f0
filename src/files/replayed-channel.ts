import { decodePacket, PacketType } from './packet-codec.ts';
import type { PacketChannel } from './types.ts';

/**
 * A connection whose beginning can be read twice: one side of a transfer begins, gives up before it has done anything that counts,
 * and another one takes over as if it had been the first.
 */
export class ReplayedChannel implements PacketChannel {
  readonly #channel: PacketChannel;
  readonly #batches: Uint8Array[][] = [];
  readonly #requested = new Set<number>();
  #at = 0;
  #reading: Promise<boolean> | undefined;

  constructor(channel: PacketChannel) {
    this.#channel = channel;
  }

  /** False at the end. Whoever gave up may still wait for this. */
  #next(): Promise<boolean> {
    this.#reading ??= this.#channel
      .readBatch()
      .then((batch) => {
        if (batch !== undefined) this.#batches.push(batch);
        return batch !== undefined;
      })
      .finally(() => (this.#reading = undefined));
    return this.#reading;
  }

  async readBatch(): Promise<Uint8Array[] | undefined> {
    if (this.#at === this.#batches.length && !(await this.#next())) return undefined;
    return this.#batches[this.#at++];
  }

  async writeBatch(packets: readonly Uint8Array[]): Promise<void> {
    for (const { type, id } of packets.map(decoded)) if (type === PacketType.Req) this.#requested.add(id);
    await this.#channel.writeBatch(packets);
  }

  /** For who takes over: what was read, then the rest; a file that was asked for is not asked for again. */
  again(): PacketChannel {
    return {
      readBatch: async () => {
        const batch = this.#batches.shift();
        if (batch !== undefined || this.#reading === undefined) return batch ?? this.#channel.readBatch();
        return (await this.#reading) ? this.#batches.shift() : undefined;
      },
      writeBatch: async (packets) => {
        if (this.#requested.size === 0) return this.#channel.writeBatch(packets);
        const left = packets.filter((packet) => {
          const { type, id } = decoded(packet);
          return type !== PacketType.Req || !this.#requested.delete(id);
        });
        if (left.length > 0) await this.#channel.writeBatch(left);
      },
    };
  }
}

function decoded(packet: Uint8Array): { readonly type: number; readonly id: number } {
  return decodePacket(Buffer.from(packet.buffer, packet.byteOffset, packet.byteLength));
}
