import { closeSync } from 'node:fs';
import { fail, libcFunction } from './libc.ts';

const socket = libcFunction('int socket(int domain, int type, int protocol)');
const sendto = libcFunction(
  'int64_t sendto(int fd, void *data, size_t length, int flags, void *address, unsigned int size)',
);
const AF_UNIX = 1;
const SOCK_DGRAM_CLOEXEC = 2 | 0o2000000;
const MSG_DONTWAIT_NOSIGNAL = 0x40 | 0x4000;

/** Tells the service manager a state as `READY=1`. False where none listens (`NOTIFY_SOCKET` is not set). */
export function notifySystemd(state: string): boolean {
  const path = process.env['NOTIFY_SOCKET'];
  if (path === undefined || path === '') return false;
  const name = Buffer.from(path);
  // An abstract name starts with a NUL, written as @.
  if (name[0] === 0x40) name[0] = 0;
  const address = Buffer.alloc(2 + name.length);
  address.writeUInt16LE(AF_UNIX, 0);
  name.copy(address, 2);
  const fd = socket(AF_UNIX, SOCK_DGRAM_CLOEXEC, 0) as number;
  if (fd < 0) fail('socket');
  try {
    const data = Buffer.from(state);
    if (Number(sendto(fd, data, data.length, MSG_DONTWAIT_NOSIGNAL, address, address.length)) < 0) fail('sendto', path);
    return true;
  } finally {
    closeSync(fd);
  }
}
