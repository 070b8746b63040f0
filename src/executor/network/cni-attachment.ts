/** A namespace's connection to networks: plugins are called one after another, each told what the ones before it have done. */
import { toBuildError } from '../../base/index.ts';
import type { CniNetwork, PluginConfig } from './cni-config.ts';
import { callPlugin } from './cni-plugin.ts';

/** Plain JSON: kept beside the namespace, so that whoever clears it can do so after any change of the configuration. */
export interface Attachment {
  readonly id: string;
  readonly args: string;
  readonly folders: readonly string[];
  readonly networks: readonly CniNetwork[];
  /** By the name of the network: what its last plugin that was added gave. */
  readonly results: Readonly<Record<string, object>>;
}

function configOf(network: CniNetwork, plugin: PluginConfig, previous: object | undefined): PluginConfig {
  return {
    ...plugin,
    name: network.name,
    ...(network.version === '' ? {} : { cniVersion: network.version }),
    ...(previous === undefined ? {} : { prevResult: previous }),
  };
}

/** DEL is told the result since version 0.4.0 of the specification; older plugins may refuse it. */
function tellsResultOnDelete(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major > 0 || minor >= 4;
}

/**
 * Connects the namespace to all networks in turn; on failure the caller detaches. `keep` gets what is done so far, after each
 * plugin: some can undo their work only when they are told the result.
 */
export async function attach(
  wanted: Omit<Attachment, 'results'>,
  namespace: string,
  keep: (attachment: Attachment) => void,
): Promise<void> {
  const results: Record<string, object> = {};
  for (const network of wanted.networks) {
    for (const plugin of network.plugins) {
      const result = await callPlugin({
        command: 'ADD',
        containerId: wanted.id,
        namespace,
        interfaceName: network.interfaceName,
        args: wanted.args,
        folders: wanted.folders,
        config: configOf(network, plugin, results[network.name]),
      });
      if (result !== undefined) results[network.name] = result;
      keep({ ...wanted, results });
    }
  }
}

/** Undoes it backwards, as far as it goes: the first failure is thrown when all plugins were called. */
export async function detach(attachment: Attachment, namespace: string): Promise<void> {
  const failures: unknown[] = [];
  for (const network of attachment.networks.toReversed()) {
    const result = tellsResultOnDelete(network.version) ? attachment.results[network.name] : undefined;
    for (const plugin of network.plugins.toReversed()) {
      try {
        await callPlugin({
          command: 'DEL',
          containerId: attachment.id,
          namespace,
          interfaceName: network.interfaceName,
          args: attachment.args,
          folders: attachment.folders,
          config: configOf(network, plugin, result),
        });
      } catch (error) {
        failures.push(error);
      }
    }
  }
  if (failures.length > 0) throw toBuildError(failures[0]);
}
