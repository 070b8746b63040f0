import { ConnectionFault, ENHANCE_YOUR_CALM, PROTOCOL_ERROR } from './faults.ts';
import { END_HEADERS, END_STREAM, PADDED, WITH_PRIORITY } from './frames.ts';
import { MAX_CONTINUATIONS, MAX_HEADER_LIST } from './limits.ts';

const PRIORITY_FIELDS = 5;

/** A HEADERS frame and the CONTINUATIONs behind it, which nothing may come between. */
export class HeaderBlock {
  readonly streamId: number;
  readonly endStream: boolean;
  #fragments: Uint8Array[] = [];
  #bytes = 0;
  #complete: boolean;

  /** Throws a ConnectionFault, as `add` does. */
  constructor(streamId: number, flags: number, payload: Uint8Array) {
    this.streamId = streamId;
    this.endStream = (flags & END_STREAM) !== 0;
    this.#complete = (flags & END_HEADERS) !== 0;
    let from = 0;
    let to = payload.length;
    if ((flags & PADDED) !== 0) to -= payload[from++] ?? payload.length + 1;
    // Priorities are obsolete (RFC 9113, 5.3.2).
    if ((flags & WITH_PRIORITY) !== 0) from += PRIORITY_FIELDS;
    if (to < from) throw new ConnectionFault(PROTOCOL_ERROR, 'more padding than payload');
    this.#take(payload.subarray(from, to));
  }

  add(flags: number, payload: Uint8Array): void {
    this.#complete = (flags & END_HEADERS) !== 0;
    this.#take(payload);
  }

  #take(fragment: Uint8Array): void {
    this.#bytes += fragment.length;
    if (this.#bytes > MAX_HEADER_LIST || this.#fragments.length > MAX_CONTINUATIONS) {
      throw new ConnectionFault(ENHANCE_YOUR_CALM, 'header block is too large');
    }
    // What is read is valid during the call only.
    this.#fragments.push(this.#complete && this.#fragments.length === 0 ? fragment : Buffer.from(fragment));
  }

  get isComplete(): boolean {
    return this.#complete;
  }

  bytes(): Uint8Array {
    return this.#fragments.length === 1 ? this.#fragments[0] : Buffer.concat(this.#fragments, this.#bytes);
  }
}
