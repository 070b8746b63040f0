import { Deferred } from '../../base/index.ts';

/** Items for one reader; where it does not keep up, the newest are kept. Reading ends with {@link close}. */
export class Mailbox<T> implements AsyncIterable<T> {
  readonly #limit: number;
  readonly #items: T[] = [];
  #closed = false;
  #arrived = new Deferred();

  constructor(limit: number) {
    this.#limit = limit;
  }

  put(item: T): void {
    if (this.#closed) return;
    this.#items.push(item);
    if (this.#items.length > this.#limit) this.#items.shift();
    this.#arrived.resolve();
  }

  close(): void {
    this.#closed = true;
    this.#arrived.resolve();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    for (;;) {
      const [item] = this.#items.splice(0, 1);
      if (item !== undefined) {
        yield item;
      } else {
        if (this.#closed) return;
        this.#arrived = new Deferred();
        await this.#arrived.promise;
      }
    }
  }
}
