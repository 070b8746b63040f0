import { ANSWER_MS, ASK_AFTER_MS, CLIENT_GREETING_MS, SERVER_GREETING_MS } from './limits.ts';

/** gRPC's own words in Go, after which the reason comes. */
const NO_PREFACE = 'error reading server preface';

/** What is to be done about a peer that says nothing. */
export interface PulseEvents {
  /** Anything that it has to answer. */
  ask(): void;
  /** It has not said what it had to in time. */
  lost(message: string): void;
}

/**
 * Whether there is still somebody at the other end. First words are awaited from both; later on only a server asks: its
 * clients end by themselves, and what they leave behind is the server's.
 */
export class Pulse {
  readonly #isServer: boolean;
  readonly #events: PulseEvents;
  #timer: NodeJS.Timeout | undefined;
  #isGreeted = false;
  #isHeard = false;
  #isOver = false;

  constructor(isServer: boolean, events: PulseEvents) {
    this.#isServer = isServer;
    this.#events = events;
    const text = isServer ? 'the client says nothing' : `${NO_PREFACE}: timed out`;
    this.#within(isServer ? SERVER_GREETING_MS : CLIENT_GREETING_MS, () => {
      if (!this.#isGreeted) events.lost(text);
    });
  }

  /** The peer's first SETTINGS have come. */
  greeted(): void {
    if (this.#isGreeted) return;
    this.#isGreeted = true;
    clearTimeout(this.#timer);
    if (this.#isServer) this.#listen();
  }

  /** What it means that nothing more comes: undefined after a greeting, and for clients, which may come just to look. */
  unheard(): Error | undefined {
    return this.#isServer || this.#isGreeted ? undefined : new Error(`${NO_PREFACE}: EOF`);
  }

  /** Something has come, whatever it is. */
  heard(): void {
    this.#isHeard = true;
  }

  end(): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
  }

  #listen(): void {
    this.#isHeard = false;
    this.#within(ASK_AFTER_MS, () => {
      if (this.#isHeard) this.#listen();
      else this.#ask();
    });
  }

  #ask(): void {
    this.#events.ask();
    this.#within(ANSWER_MS, () => {
      if (this.#isHeard) this.#listen();
      else this.#events.lost('the client does not answer');
    });
  }

  /** After a halt of this process or machine what has come meanwhile is read first. */
  #within(ms: number, then: () => void): void {
    if (this.#isOver) return;
    this.#timer = setTimeout(() => {
      setImmediate(() => {
        if (!this.#isOver) then();
      });
    }, ms);
    this.#timer.unref();
  }
}
