/** Who a process runs as: `user[:group]` looked up in the files of the rootfs. */
import { closeSync, constants, fstatSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { invalidArgument } from '../base/index.ts';
import { openInRoot } from '../host/index.ts';

export interface ProcessUser {
  readonly uid: number;
  readonly gid: number;
  readonly additionalGids: readonly number[];
}

const O_PATH = 0o10000000;
const MAX_BYTES = 1 << 20;
const MAX_ID = 2 ** 31 - 1;

/** Undefined when there is no such regular file: a fifo or a device of an image is never opened. */
async function readAccounts(root: string, path: string): Promise<string[][] | undefined> {
  let fd: number;
  try {
    fd = openInRoot(root, path, O_PATH);
  } catch {
    return undefined;
  }
  try {
    const stats = fstatSync(fd);
    if (!stats.isFile()) return undefined;
    if (stats.size > MAX_BYTES) throw invalidArgument(`${JSON.stringify(path)} exceeds ${MAX_BYTES} bytes`);
    const file = await open(`/proc/self/fd/${fd}`, constants.O_RDONLY);
    try {
      const bytes = Buffer.alloc(stats.size);
      const { bytesRead } = await file.read(bytes, 0, bytes.length, 0);
      return bytes
        .toString('utf8', 0, bytesRead)
        .split('\n')
        .map((line) => line.trim())
        .filter((line) => line !== '' && !line.startsWith('#'))
        .map((line) => line.split(':'));
    } finally {
      await file.close();
    }
  } finally {
    closeSync(fd);
  }
}

/** A number, undefined where the text is a name. */
function parseId(text: string): number | undefined {
  if (!/^-?\d+$/.test(text)) return undefined;
  const id = Number(text);
  if (id < 0 || id > MAX_ID) throw invalidArgument(`uids and gids must be in range 0-${MAX_ID}`);
  return id;
}

/** Both given as numbers: nothing is looked up, and there are no supplementary groups. */
function numeric(text: string): ProcessUser | undefined {
  const match = /^(\d+|root):(\d+|root)$/.exec(text);
  if (match === null) return undefined;
  const [uid, gid] = [match[1], match[2]].map((part) => (part === 'root' ? 0 : Number(part))) as [number, number];
  return uid < 2 ** 32 && gid < 2 ** 32 ? { uid, gid, additionalGids: [gid] } : undefined;
}

/** '' is root, with root's supplementary groups where the rootfs has any. */
export async function resolveUser(root: string, text: string): Promise<ProcessUser> {
  const direct = numeric(text);
  if (direct !== undefined) return direct;
  const colon = text.indexOf(':');
  const userText = (colon < 0 ? text : text.slice(0, colon)) || '0';
  const groupText = colon < 0 ? '' : text.slice(colon + 1);
  const wanted = parseId(userText);
  const users = (await readAccounts(root, 'etc/passwd')) ?? [];
  const entry = users.find((f) => (wanted === undefined ? f[0] === userText : parseEntryId(f[2]) === wanted));
  if (entry === undefined && wanted === undefined) {
    throw invalidArgument(`unable to find user ${userText}: no matching entries in passwd file`);
  }
  const uid = wanted ?? parseEntryId(entry?.[2]) ?? 0;
  const name = entry?.[0];
  let gid = parseEntryId(entry?.[3]) ?? 0;
  const additional: number[] = [];
  if (groupText !== '') {
    const wantedGroup = parseId(groupText);
    const groups = (await readAccounts(root, 'etc/group')) ?? [];
    const found = groups.find((f) =>
      wantedGroup === undefined ? f[0] === groupText : parseEntryId(f[2]) === wantedGroup,
    );
    const id = wantedGroup ?? parseEntryId(found?.[2]);
    if (id === undefined) throw invalidArgument(`unable to find group ${groupText}: no matching entries in group file`);
    gid = id;
  } else if (name !== undefined) {
    for (const fields of (await readAccounts(root, 'etc/group')) ?? []) {
      const id = parseEntryId(fields[2]);
      if (id !== undefined && (fields[3] ?? '').split(',').includes(name)) additional.push(id);
    }
  }
  return { uid, gid, additionalGids: [...new Set([gid, ...additional])] };
}

/** Of a line in a file: what is no id is as good as absent. */
function parseEntryId(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,10}$/.test(text) && Number(text) <= MAX_ID ? Number(text) : undefined;
}
