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

/**
 * Makes the file `path` and mounts a new, empty network namespace on it: it lives until that is unmounted. Only the calling
 * thread leaves its own namespace, and is back in it before anything else can run on it.
 */
export function makeNetworkNamespace(path: string): void {
  writeFileSync(path, '', { flag: 'wx', mode: 0o600 });
  const own = openSync(OWN, constants.O_RDONLY);
  try {
    if (unshare(CLONE_NEWNET) !== 0) fail('unshare');
    try {
      mount([{ type: 'bind', source: OWN, options: ['bind'] }], path);
    } finally {
      // A daemon that is cut off from the network, and does not know of it, would be worse than none.
      if (setns(own, CLONE_NEWNET) !== 0) process.abort();
    }
  } finally {
    closeSync(own);
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
