import type { Result } from '../solver/types.ts';
import type { ImmutableRef } from '../storage/types.ts';

/** A solver result made of a snapshot ref; `undefined` is scratch. Its id is `<worker id>::<record id>`, as in upstream's cache. */
export class RefResult implements Result {
  readonly id: string;
  readonly #workerId: string;
  readonly #ref: ImmutableRef | undefined;
  #released = false;

  /** Takes over `ref`: releasing the result releases it. */
  constructor(workerId: string, ref: ImmutableRef | undefined) {
    this.#workerId = workerId;
    this.#ref = ref;
    this.id = `${workerId}::${ref?.id ?? ''}`;
  }

  get sys(): ImmutableRef | undefined {
    return this.#ref;
  }

  fork(): RefResult {
    return new RefResult(this.#workerId, this.#ref?.fork());
  }

  async release(): Promise<void> {
    if (this.#released) throw new Error(`result ${this.id} released twice`);
    this.#released = true;
    await this.#ref?.release();
  }
}

/** The ref of a result made here; it stays the result's. */
export function refOf(result: Result): ImmutableRef | undefined {
  return result.sys as ImmutableRef | undefined;
}
