/** Which devices of the host a build may have: asked for by its steps, granted by its client or by the device itself. */
import { BuildError, Code, csvFields, invalidArgument } from '../base/index.ts';
import type { DeviceRegistry } from '../executor/index.ts';
import type { CDIDevice } from '../proto/ops.pb.ts';

/** `device`, or `device=NAME[,alias=ALIAS]` of the client's entitlements. */
export interface DeviceGrants {
  readonly all: boolean;
  /** By the name that steps ask for: the device that it stands for; '': the name itself. */
  readonly names: ReadonlyMap<string, string>;
}

/** undefined: none. Throws InvalidArgument. */
export function parseDeviceGrants(entitlements: readonly string[]): DeviceGrants | undefined {
  const asked = entitlements.filter((text) => text === 'device' || text.startsWith('device='));
  if (asked.length === 0) return undefined;
  const names = new Map<string, string>();
  let all = false;
  for (const text of asked) {
    const value = text.slice('device='.length);
    if (value === '') {
      all = true;
      continue;
    }
    const [name, ...options] = csvFields(value);
    let alias = '';
    for (const option of options) {
      const at = option.indexOf('=');
      if (at < 0) throw invalidArgument(`invalid device config ${JSON.stringify(option)}`);
      if (option.slice(0, at) !== 'alias') {
        throw invalidArgument(`unknown device config key ${JSON.stringify(option.slice(0, at))}`);
      }
      alias = option.slice(at + 1);
    }
    if (alias === '') names.set(name, '');
    else names.set(alias, name);
  }
  return { all, names };
}

/** The devices of a step by their full names. Throws NotFound and PermissionDenied, with upstream's texts. */
export function grantDevices(
  asked: readonly CDIDevice[],
  grants: DeviceGrants | undefined,
  registry: DeviceRegistry | undefined,
): CDIDevice[] {
  if (asked.length === 0) return [];
  if (registry === undefined) {
    const needed = asked.find((d) => !d.optional);
    if (needed === undefined) return [];
    throw invalidArgument(`device ${needed.name} is requested by the build but no devices are configured`);
  }
  if (grants?.all === true) return registry.find(asked).map((name) => ({ name, optional: false }));
  const aliasOf = (name: string): string => grants?.names.get(name) ?? '';
  // Whoever gives a device a name of his own grants it.
  const aliased = asked.filter((d) => aliasOf(d.name) !== '').map((d) => ({ ...d, name: aliasOf(d.name) }));
  const found = registry.find(asked.filter((d) => aliasOf(d.name) === ''));
  const names = [...(grants?.names.keys() ?? [])].filter((name) => aliasOf(name) === '');
  const granted = new Set(registry.find(names.map((name) => ({ name, optional: false }))));
  const forbidden = found.filter((name) => !granted.has(name) && registry.get(name)?.autoAllow !== true);
  if (forbidden.length > 0) {
    const text = forbidden.length === 1 ? `device ${forbidden[0]} is` : `devices ${forbidden.join(', ')} are`;
    throw new BuildError(Code.PermissionDenied, `${text} requested by the build but not allowed`);
  }
  return [...new Set([...registry.find(aliased), ...found])].map((name) => ({ name, optional: false }));
}
