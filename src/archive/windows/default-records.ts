/** What files of an image have when nothing else is said of them: as containerd's and BuildKit's daemons on Linux write it. */
import { TarType } from '../tar-header.ts';
import { FileAttribute } from './records.ts';
import { encodeSecurityDescriptor, parseSecurityDescriptor, plainAce } from './security-descriptor.ts';
import { parseSddl } from './sddl.ts';

/** Administrators own it, they and the system may do all, users may read, and make files and folders of their own in folders. */
const FOLDER = encodeSecurityDescriptor(
  parseSddl(
    'O:BAG:SYD:(A;OICI;FA;;;BA)(A;OICI;FA;;;SY)(A;;FA;;;BA)(A;OICIIO;GA;;;CO)(A;OICI;0x1200a9;;;BU)(A;CI;LC;;;BU)(A;CI;DC;;;BU)',
  ),
);
const FILE = encodeSecurityDescriptor(parseSddl('O:BAG:SYD:(A;;FA;;;BA)(A;;FA;;;SY)(A;;0x1200a9;;;BU)'));

const ALLOW = 0x00;
const ALL = 0x1f01ff;
const INHERITED = 0x10;
/** Object and container inherit. */
const INHERITABLE = 0x03;

export function defaultAttributes(type: string): number {
  return type === TarType.Dir ? FileAttribute.Directory : FileAttribute.Archive;
}

export function defaultDescriptor(isFolder: boolean): Buffer {
  return isFolder ? FOLDER : FILE;
}

/**
 * The same descriptor for another owner, who may do all with the file: whom a file is given to can use it, as on Windows, where
 * such an owner gets an entry of its own (fsutil's Chown).
 */
export function ownedDescriptor(descriptor: Uint8Array, owner: string, isFolder: boolean): Buffer {
  const sd = parseSecurityDescriptor(descriptor);
  const { dacl } = sd;
  if (dacl === undefined || dacl === null) return encodeSecurityDescriptor({ ...sd, owner });
  const grant = plainAce(ALLOW, isFolder ? INHERITABLE : 0, ALL, owner);
  // What was inherited comes last.
  const at = dacl.entries.findIndex((ace) => (ace.flags & INHERITED) !== 0);
  const entries = dacl.entries.toSpliced(at < 0 ? dacl.entries.length : at, 0, grant);
  return encodeSecurityDescriptor({ ...sd, owner, dacl: { ...dacl, entries } });
}
