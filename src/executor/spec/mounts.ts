/** The mounts that every container has, and how those of a build join them. */
import { posix } from 'node:path';

export interface SpecMount {
  readonly type?: string;
  readonly source: string;
  readonly destination: string;
  readonly options: readonly string[];
}

export interface OciMount {
  readonly destination: string;
  readonly type: string;
  readonly source: string;
  readonly options: readonly string[];
}

/** Set up ahead of a build's mounts: one on /etc hides them, instead of getting stubs of them put into its source. */
const NETWORK_FILES = new Set(['/etc/resolv.conf', '/etc/hosts']);

const CLOSED = ['nosuid', 'noexec', 'nodev'];

/** Writable control groups and sysfs are for processes that a user has let out of the sandbox. */
export function defaultMounts(writable: boolean): OciMount[] {
  const access = writable ? 'rw' : 'ro';
  return [
    mount('/proc', 'proc', 'proc', CLOSED),
    mount('/dev', 'tmpfs', 'tmpfs', ['nosuid', 'strictatime', 'mode=755', 'size=65536k']),
    mount('/dev/pts', 'devpts', 'devpts', ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5']),
    mount('/dev/shm', 'tmpfs', 'shm', [...CLOSED, 'mode=1777', 'size=65536k']),
    mount('/dev/mqueue', 'mqueue', 'mqueue', CLOSED),
    mount('/sys', 'sysfs', 'sysfs', [...CLOSED, access]),
    mount('/sys/fs/cgroup', 'cgroup', 'cgroup', [access, ...CLOSED]),
  ];
}

/**
 * A later mount replaces an earlier one of the same destination, in its place: a build's own `/dev` still gets `/dev/pts`
 * on top. Apart from that, a build's mounts follow the defaults, parents before children.
 */
export function joinMounts(defaults: readonly OciMount[], extra: readonly SpecMount[]): OciMount[] {
  const byDestination = new Map(defaults.map((each) => [each.destination, each]));
  const ordered = extra.map(normalized).sort((a, b) => rank(a.destination) - rank(b.destination));
  for (const each of ordered) {
    // A Map keeps the position of the first entry of a key, which is exactly the place wanted.
    byDestination.set(each.destination, each);
  }
  return [...byDestination.values()];
}

function mount(destination: string, type: string, source: string, options: readonly string[]): OciMount {
  return { destination, type, source, options };
}

function normalized(given: SpecMount): OciMount {
  const path = posix.join('/', given.destination);
  const destination = path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path;
  const type = given.type === undefined || given.type === '' ? 'bind' : given.type;
  // Without the flag the runtime would look for a file system called "bind".
  const flagged = given.options.includes('bind') || given.options.includes('rbind');
  const options = type === 'bind' && !flagged ? ['rbind', ...given.options] : [...given.options];
  return { destination, type, source: given.source, options };
}

/** Depth below the root; the sort is stable, so that equals keep the order given. */
function rank(destination: string): number {
  return destination === '/' || NETWORK_FILES.has(destination) ? 0 : destination.split('/').length - 1;
}
