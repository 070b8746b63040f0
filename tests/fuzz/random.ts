/** Chance, and what a hostile client makes of it. */
import { Chance } from '../../src/solver/simulation/chance.ts';

export class Random extends Chance {
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
