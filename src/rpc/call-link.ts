/** A connection inside a call that carries plain bytes: what a session's tunnel is. */
import { canceled, Deferred } from '../base/index.ts';
import { FLUSH_PATIENCE_MS } from './http2/index.ts';
import type { Link, LinkEvents } from './http2/index.ts';
import { MAX_UNSENT } from './limits.ts';
import type { Bytes } from './raw.ts';
import type { ClientStream, MessageReader, MessageWriter } from './types.ts';

/** Pieces go into one message until it has so many bytes. Upstream's senders stay far below the message limit, too. */
const MESSAGE_BYTES = 256 << 10;

/** It reads whatever there is to be written, and takes all it is given: both ends have windows of their own. */
export class CallLink implements Link {
  readonly #in: MessageReader<Bytes>;
  readonly #out: MessageWriter<Bytes>;
  readonly #onClose: (error: Error | undefined) => void;
  readonly #closed = new Deferred<Error | undefined>();
  #events: LinkEvents | undefined;
  /** Bytes that the call has not made room for yet. */
  #pending = 0;
  #isFull = false;
  #isLeaving = false;
  #isOver = false;
  #timer: NodeJS.Timeout | undefined;

  /** `onClose` ends the call, unless that has ended by itself. */
  constructor(input: MessageReader<Bytes>, output: MessageWriter<Bytes>, onClose: (error: Error | undefined) => void) {
    this.#in = input;
    this.#out = output;
    this.#onClose = onClose;
  }

  /** Resolves when it has ended, with what was at fault. */
  get closed(): Promise<Error | undefined> {
    return this.#closed.promise;
  }

  start(events: LinkEvents): void {
    this.#events = events;
    if (this.#isOver) void this.closed.then((error) => events.closed(error));
    // Nothing is told before this has returned.
    else queueMicrotask(() => this.#listen(events));
  }

  #listen(events: LinkEvents): void {
    this.#in.flow(
      ({ data }) => {
        if (!this.#isOver) events.data(data);
      },
      (error) => {
        if (error !== undefined) this.destroy(error);
        else if (!this.#isOver) events.end();
      },
    );
  }

  get unsent(): number {
    return this.#pending;
  }

  write(pieces: readonly Uint8Array[]): boolean {
    if (this.#isOver || this.#isLeaving) return true;
    let from = 0;
    let bytes = 0;
    for (const [i, piece] of pieces.entries()) {
      bytes += piece.length;
      if (bytes < MESSAGE_BYTES && i < pieces.length - 1) continue;
      this.#send({ data: pieces[from], more: pieces.slice(from + 1, i + 1) }, bytes);
      from = i + 1;
      bytes = 0;
    }
    this.#isFull = this.#pending > MAX_UNSENT;
    return !this.#isFull;
  }

  /** One message at a time is in order, however many wait. */
  #send(message: Bytes, bytes: number): void {
    this.#pending += bytes;
    this.#out.write(message).then(
      () => this.#sent(bytes),
      (error: Error) => this.destroy(error),
    );
  }

  #sent(bytes: number): void {
    this.#pending -= bytes;
    if (this.#isOver) return;
    if (this.#isLeaving) this.#leaveIfSent();
    else if (this.#isFull && this.#pending <= MAX_UNSENT / 2) {
      this.#isFull = false;
      this.#events?.drain();
    }
  }

  end(): void {
    if (this.#isOver || this.#isLeaving) return;
    this.#isLeaving = true;
    this.#beLeaving(this.#pending);
    this.#leaveIfSent();
  }

  /** What the call has made room for leaves at the end of the turn. */
  #leaveIfSent(): void {
    if (this.#pending === 0) setImmediate(() => this.destroy());
  }

  #beLeaving(before: number): void {
    this.#timer = setTimeout(() => {
      if (this.#pending < before) this.#beLeaving(this.#pending);
      else this.destroy();
    }, FLUSH_PATIENCE_MS);
  }

  destroy(error?: Error): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#timer);
    this.#onClose(error);
    this.#closed.resolve(error);
    const events = this.#events;
    if (events !== undefined) void this.closed.then(() => events.closed(error));
  }
}

/** Our call; its end cancels it. */
export function linkFromCall(call: ClientStream<Bytes, Bytes>): CallLink {
  return new CallLink(call, call, (error) => call.cancel(error ?? canceled()));
}

/** A call that we serve: the handler returns when the link has ended. */
export function linkFromServerCall(
  input: MessageReader<Bytes>,
  output: MessageWriter<Bytes>,
  signal: AbortSignal,
): CallLink {
  const onAbort = (): void => link.destroy();
  const link = new CallLink(input, output, () => signal.removeEventListener('abort', onAbort));
  if (signal.aborted) onAbort();
  else signal.addEventListener('abort', onAbort, { once: true });
  return link;
}
