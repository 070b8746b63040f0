/** Chance that can be had again: everything a run does follows from its seed. */

export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** From 0 up to 1, which is left out (mulberry32). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  below(n: number): number {
    return Math.floor(this.next() * n);
  }

  chance(p: number): boolean {
    return this.next() < p;
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)] as T;
  }

  /** Up to `most` of what `make` makes. */
  some<T>(most: number, make: () => T): T[] {
    return Array.from({ length: this.below(most + 1) }, make);
  }

  bytes(most: number): Buffer {
    return Buffer.from(Array.from({ length: this.below(most + 1) }, () => this.below(256)));
  }

  /** Texts that somebody may have forgotten about. */
  text(): string {
    return this.pick([
      () => '',
      () => '/',
      () => '..',
      () => '../../../../etc/passwd',
      () => `/${'a/'.repeat(this.below(3000))}`,
      () => 'x'.repeat(this.below(100_000)),
      () => this.bytes(40).toString('latin1'),
      () => 'a\0b',
      () => '[',
      () => '(a+)+$',
      () => '*?[a-',
      () => 'ü😀\n\t"\\',
      () => '__proto__',
      () => String(this.number()),
    ])();
  }

  number(): bigint {
    return this.pick([
      0n,
      1n,
      -1n,
      2n,
      7n,
      65_535n,
      65_536n,
      -(2n ** 63n),
      2n ** 63n - 1n,
      2n ** 31n,
      BigInt(this.below(100)),
    ]);
  }

  /** A message that was right, with some of its bytes changed, left out, or put in twice. */
  mutate(message: Uint8Array): Buffer {
    let bytes = Buffer.from(message);
    for (let i = 0; i <= this.below(4); i++) {
      const at = this.below(bytes.length + 1);
      const to = at + this.below(20);
      switch (this.below(4)) {
        case 0:
          if (at < bytes.length) bytes[at] = this.below(256);
          break;
        case 1:
          bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(to)]);
          break;
        case 2:
          bytes = Buffer.concat([bytes.subarray(0, to), bytes.subarray(at)]);
          break;
        default:
          bytes = Buffer.concat([bytes.subarray(0, at), this.bytes(10), bytes.subarray(at)]);
      }
    }
    return bytes;
  }
}
