/** The bytes below a connection, in both directions: a socket, or a call of another connection. */
export interface Link {
  /** Once, before anything else. Nothing is told before it returns. */
  start(events: LinkEvents): void;
  /** Takes all of it, in order. False when it would rather get no more before `drain`. */
  write(pieces: readonly Uint8Array[]): boolean;
  /** Bytes that were taken and have not left. */
  readonly unsent: number;
  /** No more writes: ends when what was taken has left, or after a second of nothing. */
  end(): void;
  /** Ends at once. */
  destroy(error?: Error): void;
}

export interface LinkEvents {
  data(chunk: Uint8Array): void;
  drain(): void;
  /** The peer sends no more, and why, where that is known; `closed` is still to come. */
  end(error?: Error): void;
  /** Exactly once, whoever ended it. */
  closed(error: Error | undefined): void;
}
