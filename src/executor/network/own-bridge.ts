/** Whose the bridge is. That this daemon has made it is kept in a file, the marker, so that a successor can remove it after a kill. */
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { invalidArgument } from '../../base/index.ts';
import { removeBridge } from '../../host/index.ts';

const INTERFACES = '/sys/class/net';

/** Before the first plugin makes it. A bridge that is there already belongs to someone else and stays. */
export function claimBridge(name: string, marker: string): void {
  if (!existsSync(join(INTERFACES, name))) writeFileSync(marker, name, { mode: 0o600 });
  else if (!existsSync(join(INTERFACES, name, 'bridge')))
    throw invalidArgument(`${JSON.stringify(name)} already exists but is not a bridge`);
}

/** Removes the bridge that the marker tells of, unless others have joined it meanwhile. */
export function dropBridge(marker: string): void {
  if (!existsSync(marker)) return;
  const name = readFileSync(marker, 'utf8');
  const ports = join(INTERFACES, name, 'brif');
  if (name !== '' && existsSync(ports) && readdirSync(ports).length === 0) removeBridge(name);
  rmSync(marker, { force: true });
}
