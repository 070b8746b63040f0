/** Between builds of one user, who would wait. */
const QUIET_MS = 3000;

/** Calls `idle` when builds have ended and none has begun for a while. */
export class IdleWatch {
  readonly #idle: () => void;
  #running = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(idle: () => void) {
    this.#idle = idle;
  }

  begin(): void {
    this.#running++;
    clearTimeout(this.#timer);
  }

  end(): void {
    this.#running--;
    if (this.#running === 0) this.#timer = setTimeout(this.#idle, QUIET_MS).unref();
  }

  close(): void {
    clearTimeout(this.#timer);
  }
}
