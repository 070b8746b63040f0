/** What a daemon holds, counted from outside and inside: what a build has left is what was not there before it. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import type { Daemon } from '../system/daemon.ts';
import { until } from '../system/process.ts';
import { mountsBelow } from '../system/scratch.ts';
import type { Inspector } from './inspector.ts';

/** Threads that had work stay for a while, and so do connections of the HTTP client. */
const PATIENCE_MS = 45_000;

interface Inventory {
  /** Records that something refers to, and their leases with them. */
  readonly inUse: readonly string[];
  readonly mounts: readonly string[];
  /** Command lines. */
  readonly processes: readonly string[];
  readonly sockets: number;
  readonly pipes: number;
  /** Open files by path, each once: a thread of the database has a connection of its own while it has work. */
  readonly files: readonly string[];
  /** What keeps the event loop alive: timers, sockets, requests to the file system, by kind. */
  readonly resources: readonly string[];
  /** Uploads that have begun, downloads, sockets: whatever is named as temporary below the root. */
  readonly temporary: readonly string[];
}

function childrenOf(pid: number): string[] {
  return readdirSync(`/proc/${pid}/task`).flatMap((thread) => {
    try {
      const children = readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8').trim();
      return children.split(' ').filter((child) => child !== '');
    } catch {
      return []; // The thread has ended.
    }
  });
}

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
  } catch {
    return '';
  }
}

function descriptorsOf(pid: number): string[] {
  return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/${pid}/fd/${fd}`)];
    } catch {
      return []; // It was closed meanwhile.
    }
  });
}

async function take(daemon: Daemon, inspector: Inspector): Promise<Inventory> {
  const inUse = (await daemon.usage()).filter((u) => u.inUse).map((u) => `${u.id} ${u.description}`);
  const open = descriptorsOf(daemon.pid);
  const sockets = open.filter((target) => target.startsWith('socket:')).length;
  const pipes = open.filter((target) => target.startsWith('pipe:')).length;
  const resources = await inspector.evaluate<string[]>('process.getActiveResourcesInfo()');
  return {
    inUse,
    mounts: mountsBelow(daemon.root),
    processes: childrenOf(daemon.pid).map(commandOf),
    sockets,
    pipes,
    files: [...new Set(open.filter((target) => target.startsWith('/') && !target.startsWith('/dev/')))],
    resources: resources.toSorted(),
    temporary: readdirSync(daemon.root, { recursive: true, encoding: 'utf8' }).filter((path) =>
      /(^|\/)(tmp|temp|ingest|executor)[^/]*\//.test(path),
    ),
  };
}

export type Check = () => Promise<void>;

/** To be called while nothing goes on: the check fails when there is more later, and does not go away by itself. */
export async function takeInventory(daemon: Daemon, inspector: Inspector): Promise<Check> {
  const before = await take(daemon, inspector);
  const surplus = (now: Inventory): string[] => {
    const lists = (['inUse', 'mounts', 'processes', 'files', 'resources', 'temporary'] as const).flatMap((kind) => {
      const known = [...before[kind]];
      const more = now[kind].filter((one) => {
        const at = known.indexOf(one);
        if (at >= 0) known.splice(at, 1);
        return at < 0;
      });
      return more.map((one) => `${kind}: ${one}`);
    });
    const counts = (['sockets', 'pipes'] as const).flatMap((kind) =>
      now[kind] > before[kind] ? [`${kind}: ${now[kind]} instead of ${before[kind]}`] : [],
    );
    return [...lists, ...counts];
  };
  return async () => {
    let left: string[] = [];
    const isClean = async (): Promise<boolean> => (left = surplus(await take(daemon, inspector))).length === 0;
    await until('nothing is left', isClean, PATIENCE_MS).catch((error: Error) => {
      throw new Error(`${error.message}:\n${left.join('\n')}`);
    });
  };
}
