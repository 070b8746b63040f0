/** Network namespaces that files hold, and bridges. */
import { closeSync, constants, openSync, writeFileSync } from 'node:fs';
import { cString, errnoError, fail, lastErrno, libcFunction } from './libc.ts';
import { mount } from './mount.ts';

const CLONE_NEWNET = 0x40000000;
const OWN = '/proc/thread-self/ns/net';
const AF_INET = 2;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const SIOCGIFFLAGS = 0x8913;
const SIOCSIFFLAGS = 0x8914;
const SIOCBRDELBR = 0x89a1;
const IFF_UP = 1;
const NAME_BYTES = 16;
const IFREQ_BYTES = 40;
const ENODEV = 19;

const unshare = libcFunction('int unshare(int flags)');
const setns = libcFunction('int setns(int fd, int type)');
const socket = libcFunction('int socket(int domain, int type, int protocol)');
const ioctl = libcFunction('int ioctl(int fd, unsigned long request, void *argument)');

/** Only the calling thread leaves its own namespace, by `leave`, and is back in it before anything else can run on it. */
function away<T>(leave: () => void, work: () => T): T {
  const own = openSync(OWN, constants.O_RDONLY);
  try {
    leave();
    try {
      return work();
    } finally {
      // A daemon that is cut off from the network, and does not know of it, would be worse than none.
      if (setns(own, CLONE_NEWNET) !== 0) process.abort();
    }
  } finally {
    closeSync(own);
  }
}

/** Makes the file `path` and mounts a new, empty network namespace on it: it lives until that is unmounted. */
export function makeNetworkNamespace(path: string): void {
  writeFileSync(path, '', { flag: 'wx', mode: 0o600 });
  const leave = (): void => {
    if (unshare(CLONE_NEWNET) !== 0) fail('unshare');
  };
  away(leave, () => mount([{ type: 'bind', source: OWN, options: ['bind'] }], path));
}

/** Runs `work`, which waits for nothing, in the namespace that `path` holds: sockets that it makes belong there for ever. */
export function inNetworkNamespace<T>(path: string, work: () => T): T {
  const target = openSync(path, constants.O_RDONLY);
  try {
    const enter = (): void => {
      if (setns(target, CLONE_NEWNET) !== 0) fail('setns', path);
    };
    return away(enter, work);
  } finally {
    closeSync(target);
  }
}

/** Removes the bridge; none of that name is no error. */
export function removeBridge(name: string): void {
  const bytes = cString(name);
  if (bytes.length > NAME_BYTES) throw errnoError(22, 'ioctl', name);
  const request = Buffer.alloc(IFREQ_BYTES);
  bytes.copy(request);
  const fd = Number(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (fd < 0) fail('socket');
  try {
    if (ioctl(fd, SIOCGIFFLAGS, request) !== 0) {
      if (lastErrno() === ENODEV) return;
      fail('ioctl', name);
    }
    // The kernel removes none that is up.
    request.writeInt16LE(request.readInt16LE(NAME_BYTES) & ~IFF_UP, NAME_BYTES);
    if (ioctl(fd, SIOCSIFFLAGS, request) !== 0) fail('ioctl', name);
    if (ioctl(fd, SIOCBRDELBR, request) !== 0) fail('ioctl', name);
  } finally {
    closeSync(fd);
  }
}
