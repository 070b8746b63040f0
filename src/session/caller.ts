import type { Duplex } from 'node:stream';
import { BuildError, canceled, Code, invalidArgument, logger, sleep } from '../base/index.ts';
import { HealthDefinition } from '../proto/health.pb.ts';
import { createChannel } from '../rpc/index.ts';
import type { Channel, Link, Metadata } from '../rpc/types.ts';
import { META } from './keys.ts';
import type { SessionCaller } from './types.ts';

const HEALTH_EVERY_MS = 5_000;
const HEALTH_TIMEOUT_MS = 15_000;
const FAILURES_ALLOWED = 1;

/** What the client said of itself when it opened the tunnel. */
export interface SessionInfo {
  readonly id: string;
  readonly name: string;
  readonly sharedKey: string;
  readonly methods: readonly string[];
  readonly healthTimeoutMs?: number;
}

/** Throws InvalidArgument without an id. */
export function parseSessionInfo(metadata: Metadata): SessionInfo {
  const id = metadata.get(META.id)?.[0] ?? '';
  if (id === '') throw invalidArgument('session id is missing');
  const timeout = Number(metadata.get(META.healthTimeout)?.[0]);
  return {
    id,
    name: metadata.get(META.name)?.[0] ?? '',
    sharedKey: metadata.get(META.sharedKey)?.[0] ?? '',
    methods: metadata.get(META.method) ?? [],
    ...(timeout >= 1000 ? { healthTimeoutMs: timeout } : {}),
  };
}

/** One connected client. It owns the tunnel: two failed health checks in a row close it. */
export class ConnectedSession implements SessionCaller {
  readonly id: string;
  readonly name: string;
  readonly sharedKey: string;
  readonly channel: Channel;
  readonly #methods: ReadonlySet<string>;
  readonly #abort = new AbortController();

  constructor(info: SessionInfo, connection: Duplex | Link) {
    this.id = info.id;
    this.name = info.name;
    this.sharedKey = info.sharedKey;
    this.#methods = new Set(info.methods.map((m) => m.toLowerCase()));
    this.channel = createChannel(connection);
    void this.channel.closed.then(() => this.#abort.abort(new BuildError(Code.Canceled, 'session closed')));
    void this.#watch(info.healthTimeoutMs);
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  supports(method: string): boolean {
    return this.#methods.has(method.toLowerCase());
  }

  async close(reason: Error = canceled()): Promise<void> {
    if (!this.#abort.signal.aborted) this.#abort.abort(reason);
    await this.channel.close();
  }

  async #watch(customMs: number | undefined): Promise<void> {
    let failures = 0;
    let lastMs = 0;
    const check = HealthDefinition.methods.check;
    while (!this.signal.aborted) {
      await sleep(HEALTH_EVERY_MS, this.signal).catch(() => {});
      if (this.signal.aborted) return;
      const timeoutMs = customMs ?? Math.max(HEALTH_TIMEOUT_MS, lastMs * 1.5);
      const started = performance.now();
      try {
        await this.channel.unary(HealthDefinition, check, { service: '' }, { timeoutMs, signal: this.signal });
        failures = 0;
      } catch (error) {
        if (this.signal.aborted) return;
        failures++;
        logger.warn('session health check failed', { session: this.id, error });
        if (failures > FAILURES_ALLOWED) {
          await this.close(new BuildError(Code.Unavailable, 'session healthcheck failed'));
          return;
        }
      }
      lastMs = performance.now() - started;
    }
  }
}
