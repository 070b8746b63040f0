import type { Duplex } from 'node:stream';
import { randomId } from '../../base/index.ts';
import { addHealth, createServer } from '../../rpc/index.ts';
import type { Link, Server } from '../../rpc/types.ts';
import { META } from '../keys.ts';
import type { Pairs } from '../keys.ts';

/** A service that the client lends to the daemon for the time of its session. */
export interface Attachable {
  register(server: Server): void;
}

/** Opens the tunnel: the call to `Control.Session` with this metadata. */
export type SessionDialer = (metadata: Pairs) => Promise<Duplex | Link>;

/** The client's end: a gRPC server inside the tunnel. Allow everything first, then run once. */
export class Session {
  readonly id: string = randomId();
  readonly name: string;
  readonly sharedKey: string;
  readonly #server: Server = createServer();

  constructor(options: { name?: string; sharedKey?: string } = {}) {
    this.name = options.name ?? '';
    this.sharedKey = options.sharedKey ?? '';
    addHealth(this.#server);
  }

  allow(attachable: Attachable): void {
    attachable.register(this.#server);
  }

  metadata(): Pairs {
    const pairs: Pairs = [
      [META.id, this.id],
      [META.name, this.name],
      [META.sharedKey, this.sharedKey],
    ];
    for (const method of this.#server.methods()) pairs.push([META.method, method]);
    return pairs;
  }

  /** Serves until the tunnel ends. */
  async run(dial: SessionDialer): Promise<void> {
    await this.#server.serve(await dial(this.metadata()));
  }

  close(): Promise<void> {
    return this.#server.close(0);
  }
}
