import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { BuildError, Code, invalidArgument, logger, parseGoBool } from '../../base/index.ts';
import { Gatekeeper } from '../../gatekeeper/index.ts';
import { planBridge } from './bridge-plan.ts';
import { LOOPBACK, parseCniConfig } from './cni-config.ts';
import { createCniNetworks } from './cni-networks.ts';
import type { CniPlan } from './cni-networks.ts';
import { hostNetworks } from './host-networks.ts';
import { clearLeftovers } from './leftovers.ts';
import { NamespaceFolder } from './namespace-folder.ts';
import { ProxiedNetworks } from './proxied-networks.ts';
import type { Networks, PlainNetworks } from './types.ts';

export interface NetworkOptions {
  /** Folder for namespaces and what is known of them. */
  readonly root: string;
  /** `auto`, `host`, `cni` or `bridge`. */
  readonly mode: string;
  readonly cniConfigPath: string;
  readonly cniBinaryDir: string;
  readonly cniPoolSize: number;
  readonly bridgeName: string;
  readonly bridgeSubnet: string;
  /** BUILDKIT_NETWORK_BRIDGE_AUTO and BUILDKIT_CNI_INIT_LOCK_PATH are read. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

function resolveMode({ mode, cniConfigPath, env }: NetworkOptions): 'host' | 'cni' | 'bridge' {
  if (mode === 'host' || mode === 'cni' || mode === 'bridge') return mode;
  if (mode !== 'auto' && mode !== '') throw invalidArgument(`invalid network mode: ${JSON.stringify(mode)}`);
  if (parseGoBool(env['BUILDKIT_NETWORK_BRIDGE_AUTO'] ?? '') === true) return 'bridge';
  if (existsSync(cniConfigPath)) return 'cni';
  logger.warn('using host network as the default');
  return 'host';
}

function mustExist(what: string, path: string): void {
  if (existsSync(path)) return;
  const why = `stat ${path}: no such file or directory`;
  throw new BuildError(Code.FailedPrecondition, `failed to read cni ${what} ${JSON.stringify(path)}: ${why}`);
}

/** A user's own configuration, and the loopback. */
function planConfigured({ cniConfigPath, cniBinaryDir }: NetworkOptions): Pick<CniPlan, 'networks' | 'folders'> {
  mustExist('config', cniConfigPath);
  mustExist('binary dir', cniBinaryDir);
  const text = readFileSync(cniConfigPath, 'utf8');
  return { networks: [LOOPBACK, parseCniConfig(text, cniConfigPath)], folders: [cniBinaryDir] };
}

function chosen(
  mode: 'host' | 'cni' | 'bridge',
  options: NetworkOptions,
  folder: NamespaceFolder,
  marker: string,
): PlainNetworks {
  if (mode === 'host') return hostNetworks;
  const { bridgeName: name, bridgeSubnet: subnet, cniBinaryDir: binaryDir } = options;
  const plan = mode === 'cni' ? planConfigured(options) : planBridge({ marker, name, subnet, binaryDir });
  return createCniNetworks(folder, {
    ...plan,
    poolSize: options.cniPoolSize,
    initLock: options.env['BUILDKIT_CNI_INIT_LOCK_PATH'],
  });
}

/** Throws what a user can act on: a mode that is none, a configuration or plugins that are not there. Does nothing yet. */
export function createNetworks(options: NetworkOptions): Networks {
  const mode = resolveMode(options);
  mkdirSync(options.root, { recursive: true, mode: 0o700 });
  const folder = new NamespaceFolder(join(options.root, 'cni'));
  const marker = join(options.root, 'own-bridge');
  const plain = chosen(mode, options, folder, marker);
  const gatekeeper = new Gatekeeper();
  const proxied = new ProxiedNetworks(join(options.root, 'proxy'), gatekeeper);
  return {
    ...plain,
    async clearLeftovers() {
      proxied.clearLeftovers();
      await clearLeftovers(folder, marker);
    },
    acquireProxied: (egress, request, signal) =>
      proxied.acquire(request, (s) => (egress === 'host' ? hostNetworks : plain).acquire('', s), signal),
    async close() {
      await gatekeeper.close();
      await plain.close();
    },
  };
}
