/**
 * What differs by the system that an image is for, whatever system the daemon runs on: paths, shell, environment, users, layers. In
 * comes an OS as platforms name it, out goes a `System`: pure values and functions of texts. Deliberately absent: what
 * differs by the system of this process (host/), and what is in a layer (archive/windows).
 */
import { linuxEnvironment } from './environment/linux.ts';
import { windowsEnvironment } from './environment/windows.ts';
import { linuxLayers } from './layers/linux.ts';
import { windowsLayers } from './layers/windows.ts';
import { linuxPaths } from './paths/linux.ts';
import { windowsPaths } from './paths/windows.ts';
import { linuxShell } from './shell/linux.ts';
import { windowsShell } from './shell/windows.ts';
import type { System } from './types.ts';
import { linuxUsers } from './users/linux.ts';
import { windowsUsers } from './users/windows.ts';

export type * from './types.ts';
export { variableKey } from './environment/variable-key.ts';
export { isAbsolutePath, resolvePath } from './paths/resolve.ts';
export { accountOfId, accountOfSid, WINDOWS_ACCOUNTS } from './users/windows-accounts.ts';
export type { WindowsAccount } from './users/windows-accounts.ts';

const LINUX: System = {
  paths: linuxPaths,
  shell: linuxShell,
  environment: linuxEnvironment,
  users: linuxUsers,
  layers: linuxLayers,
};
const WINDOWS: System = {
  paths: windowsPaths,
  shell: windowsShell,
  environment: windowsEnvironment,
  users: windowsUsers,
  layers: windowsLayers,
};

/** Every system but Windows is taken to be like Linux, as upstream does. */
export function systemOf(os: string | undefined): System {
  return os === 'windows' ? WINDOWS : LINUX;
}
