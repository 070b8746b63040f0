/**
 * What arrives for a worker thread, in the few pieces of memory that both share: nothing is allocated for it however much there
 * is, and what has arrived while the thread was busy goes to it as one block.
 */
import { steadyMs } from '../base/index.ts';
import { joinPackets } from './packet-codec.ts';
import type { PacketBlock } from './packet-codec.ts';

const SLOT = 512 << 10;
const SLOTS = 4;
/**
 * Bytes for which smaller slots do, of that size: most transfers find that nothing has changed, and the megabytes for the others
 * would have to be cleared each time.
 */
const FEW = 32 << 10;
/** While many blocks go by faster than this, a few are gathered: a message between threads costs as much as many packets. */
const GATHER_MS = 3;
const ENOUGH = 128 << 10;
/** Of packets without data, which a slot would have no end of. */
const MAX_PACKETS = 16_384;

interface Filling {
  readonly slot: Uint8Array<SharedArrayBuffer>;
  size: number;
  readonly ends: number[];
}

function slotsOf(size: number): Uint8Array<SharedArrayBuffer>[] {
  const memory = new SharedArrayBuffer(size * SLOTS);
  return Array.from({ length: SLOTS }, (_, i) => new Uint8Array(memory, size * i, size));
}

export class InboundBlocks {
  readonly #post: (block: PacketBlock, transfer: ArrayBuffer[]) => void;
  /** Of all slots; none is made before the first packet. */
  #slotSize = 0;
  #free: Uint8Array<SharedArrayBuffer>[] = [];
  /** Posted and not worked on yet, in order; undefined stands for a block with memory of its own. */
  readonly #posted: Array<Uint8Array<SharedArrayBuffer> | undefined> = [];
  #received = 0;
  #filling: Filling | undefined;
  #lastPost = 0;
  #gathering: NodeJS.Timeout | undefined;
  #changed: (() => void) | undefined;

  constructor(post: (block: PacketBlock, transfer: ArrayBuffer[]) => void) {
    this.#post = post;
  }

  get isWorkedOff(): boolean {
    return this.#posted.length === 0 && this.#filling === undefined;
  }

  /** Takes packets, whose memory is the caller's again when this has resolved. Waits while the thread is behind. */
  async put(packets: readonly Uint8Array[], isOver: () => boolean): Promise<void> {
    for (const packet of packets) {
      if (packet.length > SLOT) {
        this.#flush();
        while (this.#posted.length >= SLOTS && !isOver()) await this.#wait();
        const block = joinPackets([packet]);
        this.#posted.push(undefined);
        this.#post(block, [block.bytes.buffer as ArrayBuffer]);
        continue;
      }
      this.#received += packet.length;
      this.#provideSlots();
      const filling = this.#filling;
      if (
        filling !== undefined &&
        (filling.size + packet.length > filling.slot.length || filling.ends.length >= MAX_PACKETS)
      ) {
        this.#flush();
      }
      while (this.#filling === undefined && this.#free.length === 0 && !isOver()) await this.#wait();
      if (isOver()) return;
      this.#add(packet);
    }
    // A thread that has nothing to do gets what there is; one that works gets it when it asks for more.
    this.#offer();
  }

  #provideSlots(): void {
    const size = this.#received > FEW ? SLOT : FEW;
    if (this.#slotSize >= size) return;
    this.#slotSize = size;
    this.#free = slotsOf(size);
  }

  #offer(): void {
    const filling = this.#filling;
    if (filling === undefined || this.#posted.length > 0) return;
    const bulk = this.#slotSize === SLOT;
    if (!bulk || filling.size >= ENOUGH || steadyMs() - this.#lastPost > GATHER_MS) this.#flush();
    else {
      this.#gathering ??= setTimeout(() => {
        this.#gathering = undefined;
        if (this.#posted.length === 0) this.#flush();
      }, GATHER_MS);
    }
  }

  #add(packet: Uint8Array): void {
    const filling = (this.#filling ??= { slot: this.#free.shift() as Filling['slot'], size: 0, ends: [] });
    filling.slot.set(packet, filling.size);
    filling.size += packet.length;
    filling.ends.push(filling.size);
  }

  #flush(): void {
    const filling = this.#filling;
    if (filling === undefined) return;
    this.#filling = undefined;
    clearTimeout(this.#gathering);
    this.#gathering = undefined;
    this.#lastPost = steadyMs();
    this.#posted.push(filling.slot);
    this.#post({ bytes: filling.slot.subarray(0, filling.size), ends: Uint32Array.from(filling.ends) }, []);
  }

  /** Posts what waits to be: nothing more comes. */
  end(): void {
    this.#flush();
  }

  /** The thread has ended. */
  close(): void {
    clearTimeout(this.#gathering);
    this.wake();
  }

  /** The thread has worked on the oldest block. */
  taken(): void {
    const slot = this.#posted.shift();
    if (slot?.length === this.#slotSize) this.#free.push(slot);
    this.#offer();
    this.wake();
  }

  /** For who waits to look again. */
  wake(): void {
    const changed = this.#changed;
    this.#changed = undefined;
    changed?.();
  }

  /** Resolves after the next {@link taken} or {@link wake}. One at a time. */
  #wait(): Promise<void> {
    return new Promise((resolve) => (this.#changed = resolve));
  }

  /** Resolves once the thread has worked on all that came, or `isOver`. */
  async workedOff(isOver: () => boolean): Promise<void> {
    while (!this.isWorkedOff && !isOver()) await this.#wait();
  }
}
