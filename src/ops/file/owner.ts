import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import { BuildError, Code, internal, invalidArgument } from '../../base/index.ts';
import type { Owner } from '../../files/index.ts';
import { resolveInRoot } from '../../host/index.ts';
import type { ChownOpt, UserOpt } from '../../proto/ops.pb.ts';
import type { UserRules } from '../../systems/index.ts';

const MAX_BYTES = 10 * 2 ** 20;

/** Lines of a user database, split at colons. No file is an empty one. */
function readDatabase(root: string, path: string): string[][] {
  let fd: number;
  try {
    fd = openSync(resolveInRoot(root, path), constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return [];
    throw error;
  }
  try {
    const stats = fstatSync(fd);
    if (!stats.isFile()) throw invalidArgument(`${path} is not a regular file`);
    if (stats.size > MAX_BYTES) throw new BuildError(Code.ResourceExhausted, `"${path}" exceeds ${MAX_BYTES} bytes`);
    const lines = readFileSync(fd, 'utf8').split('\n');
    return lines
      .map((line) => line.trim())
      .filter((line) => line !== '')
      .map((line) => line.split(':'));
  } finally {
    closeSync(fd);
  }
}

function idOf(text: string | undefined): number {
  return text !== undefined && /^[0-9]{1,10}$/.test(text) ? Number(text) : 0;
}

function nameOf(option: UserOpt | undefined): string | undefined {
  return option?.user?.$case === 'byName' ? option.user.value.name : undefined;
}

function findUser(name: string, root: string | undefined, { find, database }: UserRules): Owner | undefined {
  const known = find(name);
  if (known !== undefined || database === undefined) return known;
  if (root === undefined) throw internal('invalid missing user mount');
  const found = readDatabase(root, database.users).find((fields) => fields[0] === name);
  return found && { uid: idOf(found[2]), gid: idOf(found[3]) };
}

function findGroup(name: string, root: string | undefined, { find, database }: UserRules): number | undefined {
  const known = find(name);
  if (known !== undefined || database === undefined) return known?.gid;
  if (root === undefined) throw internal('invalid missing group mount');
  const found = readDatabase(root, database.groups).find((fields) => fields[0] === name);
  return found && idOf(found[2]);
}

/**
 * The ids that an owner means, its names looked up in the trees given. A name that is not there is root; a user brings its group
 * unless another one is named. undefined: no owner is asked for.
 */
export function findOwner(
  owner: ChownOpt | undefined,
  roots: { readonly user: string | undefined; readonly group: string | undefined },
  users: UserRules,
): Owner | undefined {
  if (owner === undefined) return undefined;
  let uid = 0;
  let gid = 0;
  const userName = nameOf(owner.user);
  if (userName !== undefined) ({ uid, gid } = findUser(userName, roots.user, users) ?? { uid, gid });
  else if (owner.user?.user?.$case === 'byID') uid = gid = owner.user.user.value;
  const groupName = nameOf(owner.group);
  if (groupName !== undefined) gid = findGroup(groupName, roots.group, users) ?? gid;
  else if (owner.group?.user?.$case === 'byID') gid = owner.group.user.value;
  return { uid, gid };
}
