import { BuildError, Code, Deferred } from '../../base/index.ts';
import type { BuildHistoryEvent } from '../../proto/control.pb.ts';

/** Events that a listener may be behind. */
const CAPACITY = 1024;

/** What one listener has yet to take. One that stays behind loses its stream, and no event without knowing. */
export class EventQueue {
  #events: BuildHistoryEvent[] = [];
  #arrived = new Deferred();
  #state: 'open' | 'ended' | 'overrun' = 'open';

  push(event: BuildHistoryEvent): void {
    if (this.#state !== 'open') return;
    if (this.#events.length < CAPACITY) {
      this.#events.push(event);
    } else {
      this.#events = [];
      this.#state = 'overrun';
    }
    this.#arrived.resolve();
  }

  /** What is queued is still delivered. */
  end(): void {
    if (this.#state === 'open') this.#state = 'ended';
    this.#arrived.resolve();
  }

  /** Until {@link end}. Throws ResourceExhausted when the listener was too slow. */
  async *drain(): AsyncGenerator<BuildHistoryEvent> {
    for (;;) {
      const events = this.#events;
      this.#events = [];
      this.#arrived = new Deferred();
      yield* events;
      if (this.#state === 'overrun') {
        throw new BuildError(Code.ResourceExhausted, `history listener is more than ${CAPACITY} events behind`);
      }
      if (this.#events.length > 0) continue;
      if (this.#state === 'ended') return;
      await this.#arrived.promise;
    }
  }
}
