/** The reverse tunnel: the daemon calls services that its clients host inside the Session stream. */
import type { Channel } from '../rpc/types.ts';

/** One connected client, seen from the daemon. */
export interface SessionCaller {
  readonly id: string;
  readonly name: string;
  /** The client's cache key for its local directories. */
  readonly sharedKey: string;
  /** `/package.Service/Method`, compared without case. */
  supports(method: string): boolean;
  readonly channel: Channel;
  /** Aborts when the session ends. */
  readonly signal: AbortSignal;
}

/** Ids of the sessions that may be asked, in order of preference. */
export type SessionGroup = () => readonly string[];

export interface SessionManager {
  /** Waits for the session to connect until `signal` aborts; with noWait throws NotFound "no active session for X". */
  get(id: string, options?: { signal?: AbortSignal; noWait?: boolean }): Promise<SessionCaller>;
  /**
   * Tries each session of the group (5 s wait for each), returns the first success; throws the last error or
   * "no active sessions".
   */
  any<T>(group: SessionGroup, signal: AbortSignal | undefined, call: (caller: SessionCaller) => Promise<T>): Promise<T>;
}
