/** What a step mounts, made into sources that the runtime can bind. */
import { closeSync, fstatSync, mkdirSync, writeFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { invalidArgument, notFound, wrapError } from '../base/index.ts';
import { mount, openInRoot, unmount } from '../host/index.ts';
import type { Mount } from '../storage/types.ts';
import type { ExecMount } from './types.ts';

export interface RuntimeMount {
  readonly type?: string;
  readonly source: string;
  readonly destination: string;
  readonly options: readonly string[];
}

const O_PATH = 0o10000000;
/** Options of a mount that hold for what is bound from it. */
const KEPT = new Set(['nosuid', 'nodev', 'noexec', 'noatime', 'nodiratime']);

export function destinationOf(one: ExecMount): string {
  const dest = posix.normalize(`/${one.dest}`).replace(/(.)\/+$/, '$1');
  if (dest === '/' || dest.includes('\0')) throw invalidArgument(`invalid mount target ${JSON.stringify(one.dest)}`);
  return dest;
}

export function isWhole(selector: string): boolean {
  return posix.normalize(`/${selector}`) === '/';
}

function isBind(one: Mount | undefined): boolean {
  return one !== undefined && (/^r?bind$/.test(one.type) || one.options.some((o) => o === 'bind' || o === 'rbind'));
}

/** As mount(2) needs it: a bind says so in its options. */
export function hostMount(one: Mount): Mount {
  if (!isBind(one) || one.options.some((o) => o === 'bind' || o === 'rbind')) return one;
  return { ...one, options: [...one.options, 'rbind'] };
}

function bindOptions(one: ExecMount, mounts: readonly Mount[]): string[] {
  const given = mounts.flatMap((m) => m.options);
  return ['rbind', one.readonly || given.includes('ro') ? 'ro' : 'rw', ...given.filter((o) => KEPT.has(o))];
}

/** Binds what `selector` names below `source` to a place of our own: nobody can swap it for a link any more. */
export function pin(source: string, selector: string, at: string): void {
  let fd: number;
  try {
    fd = openInRoot(source, selector, O_PATH);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') throw notFound(`failed to mount ${JSON.stringify(selector)}: no such file or directory`);
    throw wrapError(error, `failed to mount ${JSON.stringify(selector)}`);
  }
  try {
    if (fstatSync(fd).isDirectory()) mkdirSync(at, { mode: 0o700 });
    else writeFileSync(at, '', { mode: 0o600 });
    mount([{ type: 'bind', source: `/proc/self/fd/${fd}`, options: ['rbind'] }], at);
  } finally {
    closeSync(fd);
  }
}

/** Mounts `one` with helper mounts below the existing folder `at`; everything that has to be undone goes to `stack`. */
export async function prepareMount(
  one: ExecMount,
  at: string,
  stack: AsyncDisposableStack,
): Promise<RuntimeMount | undefined> {
  const destination = destinationOf(one);
  const set = await one.source.mounts({ readonly: one.readonly });
  stack.defer(() => set.release());
  const [first] = set.mounts;
  if (first === undefined) return undefined;
  const whole = isWhole(one.selector);
  const plain = set.mounts.length === 1 && isBind(first);
  if (set.mounts.length === 1 && first.type === 'tmpfs' && whole) {
    const options = one.readonly && !first.options.includes('ro') ? [...first.options, 'ro'] : first.options;
    return { type: 'tmpfs', source: first.source || 'tmpfs', destination, options };
  }
  let source = first.source;
  if (!plain) {
    const all = join(at, 'all');
    mkdirSync(all, { mode: 0o700 });
    stack.defer(() => unmount(all));
    mount(set.mounts.map(hostMount), all);
    source = all;
  }
  if (!whole) {
    const part = join(at, 'part');
    stack.defer(() => unmount(part));
    pin(source, one.selector, part);
    source = part;
  }
  return { type: 'bind', source, destination, options: bindOptions(one, set.mounts) };
}
