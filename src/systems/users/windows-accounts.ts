/**
 * The accounts that every Windows image has. A file system of Linux has no room for their SIDs (MS-DTYP 2.4.2.4): a file that
 * belongs to one of them has an id of this table as owner, below 65536 so that user namespaces have it too.
 */
export interface WindowsAccount {
  /** Owner of the files while they are on Linux. */
  readonly id: number;
  readonly sid: string;
  /** Without their domain, in English; Windows does not look at the case. */
  readonly names: readonly string[];
}

const account = (id: number, sid: string, ...names: string[]): WindowsAccount => ({ id, sid, names });

export const WINDOWS_ACCOUNTS: readonly WindowsAccount[] = [
  account(59_321, 'S-1-5-93-2-1', 'ContainerAdministrator'),
  account(59_322, 'S-1-5-93-2-2', 'ContainerUser'),
  account(59_018, 'S-1-5-18', 'SYSTEM', 'LocalSystem'),
  account(59_019, 'S-1-5-19', 'LOCAL SERVICE'),
  account(59_020, 'S-1-5-20', 'NETWORK SERVICE'),
  account(59_011, 'S-1-5-11', 'Authenticated Users'),
  account(59_100, 'S-1-1-0', 'Everyone'),
  account(59_300, 'S-1-3-0', 'CREATOR OWNER'),
  account(59_544, 'S-1-5-32-544', 'Administrators'),
  account(59_545, 'S-1-5-32-545', 'Users'),
  account(59_546, 'S-1-5-32-546', 'Guests'),
  account(59_568, 'S-1-5-32-568', 'IIS_IUSRS'),
  account(59_080, 'S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464', 'TrustedInstaller'),
];

/** Domains under which Windows itself has these accounts. */
const DOMAIN = /^(?:builtin|nt authority|nt service|user manager|\.)\\/;

const byId = new Map(WINDOWS_ACCOUNTS.map((a) => [a.id, a]));
const byName = new Map(
  WINDOWS_ACCOUNTS.flatMap((a) => [a.sid, ...a.names].map((name) => [name.toLowerCase(), a] as const)),
);

/** By name, with or without its domain, or by SID. */
export function accountOfName(name: string): WindowsAccount | undefined {
  return byName.get(name.toLowerCase().replace(DOMAIN, ''));
}

export function accountOfId(id: number): WindowsAccount | undefined {
  return byId.get(id);
}

export function accountOfSid(sid: string): WindowsAccount | undefined {
  return byName.get(sid.toLowerCase());
}
