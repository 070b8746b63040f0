/** The mode `bridge`: a bridge of the daemon's own, without any configuration file. */
import { accessSync, constants, existsSync, statSync } from 'node:fs';
import { delimiter, dirname, basename, join } from 'node:path';
import { BuildError, Code, invalidArgument } from '../../base/index.ts';
import { claimBridge, dropBridge } from './own-bridge.ts';
import { FIRST_INTERFACE } from './cni-config.ts';
import type { CniNetwork } from './cni-config.ts';
import type { CniPlan } from './cni-networks.ts';

export interface BridgeOptions {
  /** See own-bridge.ts. */
  readonly marker: string;
  readonly name: string;
  readonly subnet: string;
  readonly binaryDir: string;
}

const PLUGINS = ['bridge', 'loopback', 'host-local', 'firewall'] as const;
/** IFNAMSIZ, and what the kernel allows in names. */
const INTERFACE_NAME = /^[^\s/:]{1,15}$/;

type PluginNames = Record<(typeof PLUGINS)[number], string>;

function findInPath(name: string): string | undefined {
  return (process.env['PATH'] ?? '')
    .split(delimiter)
    .map((folder) => join(folder, name))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return statSync(path).isFile();
      } catch {
        return false;
      }
    });
}

/** Those that come with BuildKit, `buildkit-cni-bridge` and so on in PATH, where all are there; else those of the machine. */
function findPlugins(binaryDir: string): { names: PluginNames; folders: string[] } {
  const bundled = PLUGINS.map((plugin) => findInPath(`buildkit-cni-${plugin}`)).filter((path) => path !== undefined);
  if (bundled.length === PLUGINS.length) {
    const names = Object.fromEntries(PLUGINS.map((plugin, i) => [plugin, basename(bundled[i] as string)]));
    return { names: names as PluginNames, folders: [...new Set(bundled.map((path) => dirname(path)))] };
  }
  const path = join(binaryDir, 'bridge');
  if (!existsSync(path)) {
    throw new BuildError(
      Code.FailedPrecondition,
      `failed to find CNI bridge ${JSON.stringify(path)} or buildkit-cni-bridge`,
    );
  }
  return { names: Object.fromEntries(PLUGINS.map((p) => [p, p])) as PluginNames, folders: [binaryDir] };
}

function networkOf(names: PluginNames, options: BridgeOptions): CniNetwork {
  return {
    name: 'buildkit',
    version: '1.0.0',
    interfaceName: FIRST_INTERFACE,
    plugins: [
      { type: names.loopback },
      {
        type: names.bridge,
        bridge: options.name,
        isDefaultGateway: true,
        ipMasq: true,
        ipam: { type: names['host-local'], ranges: [[{ subnet: options.subnet }]] },
      },
      // '': firewalld where it runs, else iptables. Other bridges of the host do not reach the containers.
      { type: names.firewall, backend: '', ingressPolicy: 'same-bridge' },
    ],
  };
}

export function planBridge(options: BridgeOptions): Pick<CniPlan, 'networks' | 'folders' | 'onOpen' | 'onClose'> {
  if (!INTERFACE_NAME.test(options.name)) throw invalidArgument(`invalid bridge name ${JSON.stringify(options.name)}`);
  const { names, folders } = findPlugins(options.binaryDir);
  return {
    networks: [networkOf(names, options)],
    folders,
    onOpen: () => claimBridge(options.name, options.marker),
    onClose: () => dropBridge(options.marker),
  };
}
