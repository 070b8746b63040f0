/** Chunks smaller than this are copied together: each would keep a whole read alive, and an object for a byte or two. */
const SMALL = 2 << 10;
const SLAB = 16 << 10;

/** Bytes that wait in the order they came; however they were cut, they cost little more than their number. */
export class HeldBytes {
  #chunks: Uint8Array[] = [];
  #slab = Buffer.alloc(0);
  /** Where the slab is filled to; what of it is not among the chunks begins at `#from`. */
  #to = 0;
  #from = 0;
  length = 0;

  push(chunk: Uint8Array): void {
    this.length += chunk.length;
    if (chunk.length > SMALL) {
      this.#cut();
      this.#chunks.push(chunk);
      return;
    }
    if (this.#to + chunk.length > this.#slab.length) {
      this.#cut();
      this.#slab = Buffer.allocUnsafeSlow(Math.max(chunk.length, Math.min(SLAB, this.#slab.length * 2)));
      this.#from = 0;
      this.#to = 0;
    }
    this.#slab.set(chunk, this.#to);
    this.#to += chunk.length;
  }

  #cut(): void {
    if (this.#to > this.#from) this.#chunks.push(this.#slab.subarray(this.#from, this.#to));
    this.#from = this.#to;
  }

  take(): Uint8Array[] {
    this.#cut();
    const chunks = this.#chunks;
    this.#chunks = [];
    this.#slab = Buffer.alloc(0);
    this.#from = 0;
    this.#to = 0;
    this.length = 0;
    return chunks;
  }
}
