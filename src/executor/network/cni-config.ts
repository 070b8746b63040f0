/** Networks as CNI's configuration files have them (specification 1.1, section 1): `.conflist`, or a single plugin. */
import { invalidArgument } from '../../base/index.ts';

export interface PluginConfig {
  readonly type: string;
  readonly [key: string]: unknown;
}

export interface CniNetwork {
  readonly name: string;
  /** '' where the file has none. */
  readonly version: string;
  /** The interface's name inside the namespace. */
  readonly interfaceName: string;
  /** In the order in which they are added; at least one. */
  readonly plugins: readonly PluginConfig[];
}

const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]*$/;
export const FIRST_INTERFACE = 'eth0';

/** Upstream adds it to every configuration of a user. */
export const LOOPBACK: CniNetwork = {
  name: 'cni-loopback',
  version: '0.3.1',
  interfaceName: 'lo',
  plugins: [{ type: 'loopback' }],
};

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function parsePlugin(value: unknown): PluginConfig {
  if (!isObject(value)) throw invalidArgument('a plugin is not an object');
  const { type } = value;
  if (typeof type !== 'string' || type === '') throw invalidArgument("missing 'type'");
  if (type.includes('/') || type.includes('\0')) throw invalidArgument(`invalid plugin name: ${JSON.stringify(type)}`);
  return { ...value, type };
}

/** What JSON text says; throws InvalidArgument with what is wrong. */
function parse(text: string, isList: boolean): CniNetwork {
  let file: unknown;
  try {
    file = JSON.parse(text);
  } catch (error) {
    throw invalidArgument((error as Error).message);
  }
  if (!isObject(file)) throw invalidArgument('it is not an object');
  const { name, cniVersion: version = '' } = file;
  if (typeof name !== 'string' || name === '') throw invalidArgument('no name');
  if (!NAME.test(name)) throw invalidArgument(`invalid characters found in network name: ${JSON.stringify(name)}`);
  if (typeof version !== 'string') throw invalidArgument('invalid cniVersion');
  const plugins = isList ? file.plugins : [file];
  if (!Array.isArray(plugins)) throw invalidArgument("no 'plugins' key");
  if (plugins.length === 0) throw invalidArgument('no plugins in list');
  return { name, version, interfaceName: FIRST_INTERFACE, plugins: plugins.map(parsePlugin) };
}

/** The text of the file `path`, whose name tells a list of plugins from a single one. */
export function parseCniConfig(text: string, path: string): CniNetwork {
  const isList = path.endsWith('.conflist');
  try {
    return parse(text, isList);
  } catch (error) {
    const what = isList ? 'configuration list' : 'configuration';
    throw invalidArgument(`error parsing ${what} ${JSON.stringify(path)}: ${(error as Error).message}`);
  }
}
