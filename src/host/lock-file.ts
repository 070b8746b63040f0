import { closeSync, openSync } from 'node:fs';
import { errnoError, lastErrno, libcFunction } from './libc.ts';

const flock = libcFunction('int flock(int fd, int operation)');
const LOCK_EX = 2;
const LOCK_NB = 4;
const EWOULDBLOCK = 11;

/** Locks the file `path`, made when missing, for this process alone. Taken already: throws with code EWOULDBLOCK. */
export function lockFile(path: string): { release(): void } {
  const fd = openSync(path, 'a', 0o600);
  if (flock(fd, LOCK_EX | LOCK_NB) !== 0) {
    const errno = lastErrno();
    closeSync(fd);
    const error = errnoError(errno, 'flock', path);
    if (errno === EWOULDBLOCK) error.code = 'EWOULDBLOCK';
    throw error;
  }
  let held = true;
  return {
    release() {
      if (!held) return;
      held = false;
      closeSync(fd);
    },
  };
}
