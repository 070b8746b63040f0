import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import { BuildError, Code, internal, invalidArgument } from '../../base/index.ts';
import type { Owner } from '../../files/index.ts';
import { resolveInRoot } from '../../host/index.ts';
import type { ChownOpt, UserOpt } from '../../proto/ops.pb.ts';

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

/**
 * The ids that an owner means, its names looked up in the trees given. A name that is not there is root; a user brings its group
 * unless another one is named. undefined: no owner is asked for.
 */
export function findOwner(
  owner: ChownOpt | undefined,
  roots: { readonly user: string | undefined; readonly group: string | undefined },
): Owner | undefined {
  if (owner === undefined) return undefined;
  let uid = 0;
  let gid = 0;
  const userName = nameOf(owner.user);
  if (userName !== undefined) {
    if (roots.user === undefined) throw internal('invalid missing user mount');
    const found = readDatabase(roots.user, '/etc/passwd').find((fields) => fields[0] === userName);
    uid = idOf(found?.[2]);
    gid = idOf(found?.[3]);
  } else if (owner.user?.user?.$case === 'byID') uid = gid = owner.user.user.value;
  const groupName = nameOf(owner.group);
  if (groupName !== undefined) {
    if (roots.group === undefined) throw internal('invalid missing group mount');
    const found = readDatabase(roots.group, '/etc/group').find((fields) => fields[0] === groupName);
    if (found !== undefined) gid = idOf(found[2]);
  } else if (owner.group?.user?.$case === 'byID') gid = owner.group.user.value;
  return { uid, gid };
}
