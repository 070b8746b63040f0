/**
 * Namespaces for steps whose only way out is a proxy. Each step has two of its own: one that it is in, and behind a cable one in
 * which nothing is but the proxy's socket. Both end with their mounts, and so does everything in them: a kill leaves two files.
 */
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { logger, randomId, wrapError } from '../../base/index.ts';
import type { Gatekeeper } from '../../gatekeeper/index.ts';
import { connectNamespaces, makeNetworkNamespace, unmount } from '../../host/index.ts';
import type { ProxyRequest } from '../types.ts';
import type { NetworkLease, ProxiedLease } from './types.ts';

const ID = /^[a-z0-9]{1,64}$/;
const SIDES = ['step', 'proxy'] as const;
/** Of 10.89.0.0/16, four addresses for each step (upstream: util/network/proxyprovider). */
const BLOCKS = 16_384;
const MASK = '255.255.255.252';
const NO_PROXY = '127.0.0.1,localhost,::1';

/** Programs differ in which case they look for. */
function environment(proxy: string): string[] {
  const names = ['HTTP_PROXY', 'HTTPS_PROXY'];
  return [
    ...[...names, ...names.map((name) => name.toLowerCase())].map((name) => `${name}=${proxy}`),
    `NO_PROXY=${NO_PROXY}`,
    `no_proxy=${NO_PROXY}`,
  ];
}

export class ProxiedNetworks {
  readonly #folder: string;
  readonly #gatekeeper: Gatekeeper;
  #block = 0;

  constructor(folder: string, gatekeeper: Gatekeeper) {
    this.#folder = folder;
    this.#gatekeeper = gatekeeper;
  }

  /** `egress` is the proxy's way out, given back with the lease. */
  async acquire(
    request: ProxyRequest,
    egress: (signal: AbortSignal) => Promise<NetworkLease>,
    signal: AbortSignal,
  ): Promise<ProxiedLease> {
    const id = randomId();
    const stack = new AsyncDisposableStack();
    try {
      const { address, step, proxy } = this.#connect(id, stack);
      const way = await egress(signal);
      // Nothing of the step was in it.
      stack.defer(() => way.release(true));
      const { network } = way;
      const guard = await this.#gatekeeper.guard(
        {
          ...request,
          namespace: proxy,
          address,
          egress: network.kind === 'path' ? { kind: 'path', path: network.path } : { kind: 'host' },
        },
        signal,
      );
      stack.defer(() => guard.close());
      return {
        network: { kind: 'path', path: step },
        env: environment(`http://${address}:${guard.port}`),
        authority: guard.authority,
        release: () => ended(id, stack),
      };
    } catch (error) {
      await ended(id, stack);
      throw wrapError(error, 'proxy network');
    }
  }

  #connect(id: string, stack: AsyncDisposableStack): { address: string; step: string; proxy: string } {
    const folder = join(this.#folder, id);
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    stack.defer(() => clear(folder));
    const [step, proxy] = SIDES.map((side) => join(folder, side)) as [string, string];
    makeNetworkNamespace(step);
    makeNetworkNamespace(proxy);
    this.#block = (this.#block + 1) % BLOCKS;
    const start = `10.89.${this.#block >> 6}`;
    const last = (this.#block & 63) * 4;
    const address = `${start}.${last + 1}`;
    connectNamespaces(
      { namespace: step, name: 'eth0', address: `${start}.${last + 2}` },
      { namespace: proxy, name: 'eth0', address },
      MASK,
    );
    return { address, step, proxy };
  }

  /** Ends what a killed predecessor left. */
  clearLeftovers(): void {
    const names = existsSync(this.#folder) ? readdirSync(this.#folder).filter((name) => ID.test(name)) : [];
    for (const name of names) {
      try {
        clear(join(this.#folder, name));
      } catch (error) {
        logger.warn(`failed to remove proxy network namespace ${JSON.stringify(name)} left over from previous run`, {
          error,
        });
      }
    }
  }
}

function clear(folder: string): void {
  for (const side of SIDES) if (existsSync(join(folder, side))) unmount(join(folder, side));
  rmSync(folder, { recursive: true, force: true });
}

/** The step has done its work: that its network did not go well is no failure of the build. */
async function ended(id: string, stack: AsyncDisposableStack): Promise<void> {
  try {
    await stack.disposeAsync();
  } catch (error) {
    logger.warn('proxy network was not cleared', { id, error });
  }
}
