import { MAX_UNSENT_ANSWERS } from './limits.ts';
import type { Link } from './link.ts';
import type { Output } from './output.ts';
import type { Sender } from './sender.ts';

/** The way out of a connection: all of one turn leaves in one write, and nothing while the link is full. */
export class Outlet {
  readonly #link: Link;
  readonly #output: Output;
  readonly #sender: Sender;
  readonly #onUnread: () => void;
  #scheduled = false;
  #isFull = false;
  #over = false;

  /** `onUnread`: the peer makes us answer more than it reads. */
  constructor(link: Link, output: Output, sender: Sender, onUnread: () => void) {
    this.#link = link;
    this.#output = output;
    this.#sender = sender;
    this.#onUnread = onUnread;
  }

  /** There is something to send: it leaves at the end of the turn. */
  schedule(): void {
    if (this.#scheduled || this.#over) return;
    this.#scheduled = true;
    process.nextTick(() => this.#flush());
  }

  /** The link takes bytes again. */
  drained(): void {
    this.#isFull = false;
    this.#flush();
  }

  /** What was put together leaves, and nothing after it. */
  finish(): void {
    if (this.#over) return;
    this.#give();
    this.#over = true;
  }

  drop(): void {
    this.#over = true;
  }

  #flush(): void {
    this.#scheduled = false;
    if (this.#over) return;
    if (!this.#isFull) {
      this.#sender.fill();
      if (this.#over) return;
      this.#give();
    }
    // Answers stay here while the link is full: there each turn's would cost an object of its own.
    if (this.#output.bytes + this.#link.unsent > MAX_UNSENT_ANSWERS) this.#onUnread();
    else if (!this.#isFull && this.#sender.isReady && !this.#scheduled && !this.#over) {
      // The windows allow more than one write's worth: others have their turn in between.
      this.#scheduled = true;
      setImmediate(() => this.#flush());
    }
  }

  #give(): void {
    if (this.#output.bytes > 0) this.#isFull = !this.#link.write(this.#output.take());
  }
}
