import { internal } from '../../base/index.ts';
import type { CacheRecord } from './record.ts';

/** One owner's claim on a record. */
export interface Hold {
  readonly record: CacheRecord;
  readonly released: boolean;
  /** Throws Internal when it was released before: somebody else may own what it stood for. */
  /** `touch: false`: this was no use of it, whatever was said before. */
  release(options?: { touch: false }): void;
}

interface LiveHold {
  readonly record: CacheRecord;
  readonly what: string;
}

/** The only place where `CacheRecord.users` changes. */
export class Holds {
  readonly #live = new Set<LiveHold>();
  readonly #onLast: (record: CacheRecord, touched: boolean) => void;

  /** `onLast` runs when a record's last user has gone; `touched`: the use counts as one. */
  constructor(onLast: (record: CacheRecord, touched: boolean) => void) {
    this.#onLast = onLast;
  }

  acquire(record: CacheRecord, options: { what: string; touch: boolean }): Hold {
    const live = { record, what: options.what };
    const { touch } = options;
    this.#live.add(live);
    record.users++;
    let released = false;
    const release = (how?: { touch: false }): void => {
      if (released) throw internal(`ref ${record.id} (${live.what}) released twice`);
      released = true;
      this.#live.delete(live);
      record.users--;
      if (record.users === 0) this.#onLast(record, touch && how === undefined);
    };
    return {
      record,
      get released() {
        return released;
      },
      release,
    };
  }

  /** What is held now, as `id what`. */
  list(): string[] {
    return [...this.#live].map(({ record, what }) => `${record.id} ${what}`);
  }
}
