/** Sockets of TCP as descriptors: Node makes its own in the namespace of whichever thread it likes. */
import { closeSync } from 'node:fs';
import { fail, libcFunction } from './libc.ts';

const socket = libcFunction('int socket(int domain, int type, int protocol)');
const bind = libcFunction('int bind(int fd, void *address, unsigned int length)');
const listen = libcFunction('int listen(int fd, int backlog)');

const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_STREAM = 1;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const SOCKADDR_IN_BYTES = 16;

/** In the calling thread's namespace, not connected. The caller closes it, or gives it to a `net.Socket`. */
export function makeTcpSocket(family: 4 | 6): number {
  const fd = Number(socket(family === 4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (fd < 0) fail('socket');
  return fd;
}

/** Listens on a free port of the IPv4 address. The caller closes it, or gives it to a `net.Server`. */
export function listenTcp(address: string, backlog: number): number {
  const fd = makeTcpSocket(4);
  try {
    const bytes = Buffer.alloc(SOCKADDR_IN_BYTES);
    bytes.writeUInt16LE(AF_INET, 0);
    Buffer.from(address.split('.').map(Number)).copy(bytes, 4);
    if (bind(fd, bytes, bytes.length) !== 0) fail('bind', address);
    if (listen(fd, backlog) !== 0) fail('listen', address);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}
