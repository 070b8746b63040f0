import type { Duplex } from 'node:stream';
import { abortable, BuildError, Code, Deferred, notFound, sleep, throwIfAborted, toBuildError } from '../base/index.ts';
import type { Metadata } from '../rpc/types.ts';
import { ConnectedSession, parseSessionInfo } from './caller.ts';
import type { SessionCaller, SessionGroup, SessionManager } from './types.ts';

const GROUP_WAIT_MS = 5_000;

/** The sessions that are connected, and those who wait for one: a Solve may arrive before its Session. */
export class SessionRegistry implements SessionManager {
  readonly #sessions = new Map<string, ConnectedSession>();
  readonly #waiting = new Map<string, Deferred>();

  /** Serves the tunnel until it ends; `Control.Session` awaits it. Throws InvalidArgument, AlreadyExists. */
  async handle(metadata: Metadata, connection: Duplex): Promise<void> {
    let session: ConnectedSession;
    try {
      const info = parseSessionInfo(metadata);
      if (this.#sessions.has(info.id)) throw new BuildError(Code.AlreadyExists, `session ${info.id} already exists`);
      session = new ConnectedSession(info, connection);
    } catch (error) {
      connection.destroy();
      throw error;
    }
    this.#sessions.set(session.id, session);
    this.#waiting.get(session.id)?.resolve();
    this.#waiting.delete(session.id);
    try {
      await session.channel.closed;
    } finally {
      this.#sessions.delete(session.id);
      await session.close();
    }
  }

  async get(id: string, options: { signal?: AbortSignal; noWait?: boolean } = {}): Promise<SessionCaller> {
    // Upstream's ids may carry a prefix: `<prefix>:<id>`.
    const key = id.slice(id.indexOf(':') + 1);
    for (;;) {
      const session = this.#sessions.get(key);
      if (session !== undefined && !session.signal.aborted) return session;
      if (options.noWait === true) throw notFound(`no active session for ${key}`);
      throwIfAborted(options.signal);
      let arrival = this.#waiting.get(key);
      if (arrival === undefined) this.#waiting.set(key, (arrival = new Deferred()));
      if (session !== undefined) await abortable(sleep(10), options.signal);
      else {
        try {
          await abortable(arrival.promise, options.signal);
        } catch (error) {
          throw toBuildError(error).code === Code.DeadlineExceeded
            ? new BuildError(Code.DeadlineExceeded, `no active session for ${key}: context deadline exceeded`)
            : error;
        }
      }
    }
  }

  async any<T>(
    group: SessionGroup,
    signal: AbortSignal | undefined,
    call: (caller: SessionCaller) => Promise<T>,
  ): Promise<T> {
    let last: unknown = new BuildError(Code.Unknown, 'no active sessions');
    for (const id of group()) {
      throwIfAborted(signal);
      const patience = new AbortController();
      const timer = setTimeout(
        () => patience.abort(new BuildError(Code.DeadlineExceeded, 'context deadline exceeded')),
        GROUP_WAIT_MS,
      );
      try {
        const wait = signal === undefined ? patience.signal : AbortSignal.any([signal, patience.signal]);
        const caller = await this.get(id, { signal: wait });
        clearTimeout(timer);
        return await call(caller);
      } catch (error) {
        last = error;
      } finally {
        clearTimeout(timer);
      }
    }
    throwIfAborted(signal);
    throw last;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#sessions.values()].map((s) => s.close()));
  }
}
