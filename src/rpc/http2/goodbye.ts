import type { Output } from './output.ts';

/** What either end has said by GOAWAY (RFC 9113, 6.8): the connection is to be left, and ends when nothing runs on it. */
export class Goodbye {
  #told: number | undefined;
  /** The peer takes no more requests. */
  heard = false;

  /** We have said so, and take no new streams. */
  get isTold(): boolean {
    return this.#told !== undefined;
  }

  /** `lastStreamId`: of the peer's, the last that we have looked at. What was told once never rises again. */
  tell(output: Output, lastStreamId: number, code: number, text: string): void {
    this.#told = Math.min(this.#told ?? lastStreamId, lastStreamId);
    output.goAway(this.#told, code, text);
  }
}
