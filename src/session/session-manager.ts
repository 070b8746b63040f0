import type { Duplex } from 'node:stream';
import { abortable, BuildError, Code, Deferred, notFound, sleep, throwIfAborted, toBuildError } from '../base/index.ts';
import { HealthDefinition } from '../proto/health.pb.ts';
import type { Link, Metadata } from '../rpc/types.ts';
import { ConnectedSession, parseSessionInfo } from './caller.ts';
import type { SessionCaller, SessionGroup, SessionManager } from './types.ts';

const GROUP_WAIT_MS = 5_000;
const SETTLE_PATIENCE_MS = 250;

/** The sessions that are connected, and those who wait for one: a Solve may arrive before its Session. */
export class SessionRegistry implements SessionManager {
  readonly #sessions = new Map<string, ConnectedSession>();
  readonly #waiting = new Map<string, { readonly arrived: Deferred; waiters: number }>();

  /** Serves the tunnel until it ends; `Control.Session` awaits it. Throws InvalidArgument, AlreadyExists. */
  async handle(metadata: Metadata, connection: Duplex | Link): Promise<void> {
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
    this.#waiting.get(session.id)?.arrived.resolve();
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
      if (session !== undefined) await abortable(sleep(10), options.signal);
      else await this.#arrival(key, options.signal);
    }
  }

  /** Until a session of that id connects. */
  async #arrival(key: string, signal: AbortSignal | undefined): Promise<void> {
    let wait = this.#waiting.get(key);
    if (wait === undefined) this.#waiting.set(key, (wait = { arrived: new Deferred(), waiters: 0 }));
    wait.waiters++;
    try {
      await abortable(wait.arrived.promise, signal);
    } catch (error) {
      throw toBuildError(error).code === Code.DeadlineExceeded
        ? new BuildError(Code.DeadlineExceeded, `no active session for ${key}: context deadline exceeded`)
        : error;
    } finally {
      if (--wait.waiters === 0 && this.#waiting.get(key) === wait) this.#waiting.delete(key);
    }
  }

  /**
   * Until the client has read what opened the tunnel, a quarter of a second at most. Upstream's client closes its session
   * as soon as it is refused, and takes what arrives at that moment for broken frames (session/grpchijack/dial.go).
   */
  async settle(id: string, signal: AbortSignal): Promise<void> {
    const patience = AbortSignal.any([signal, AbortSignal.timeout(SETTLE_PATIENCE_MS)]);
    try {
      const { channel } = await this.get(id, { signal: patience });
      await channel.unary(HealthDefinition, HealthDefinition.methods.check, { service: '' }, { signal: patience });
    } catch {
      // Whatever it answers, or never does: it had its time.
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
