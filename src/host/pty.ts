/** Pseudo-terminals. */
import { closeSync, constants, openSync } from 'node:fs';
import { Readable } from 'node:stream';
import type { Writable } from 'node:stream';
import { ReadStream } from 'node:tty';
import { fail, libcFunction } from './libc.ts';

const O_CLOEXEC = 0o2000000;
// asm-generic/ioctls.h
const TIOCSWINSZ = 0x5414;
const MAX_CELLS = 65_535;

const posixOpenpt = libcFunction('int posix_openpt(int flags)');
const unlockpt = libcFunction('int unlockpt(int fd)');
const ptsnameR = libcFunction('int ptsname_r(int fd, _Out_ uint8_t *name, size_t length)');
const ioctl = libcFunction('int ioctl(int fd, unsigned long request, uint8_t *argument)');

export interface TerminalSize {
  readonly rows: number;
  readonly cols: number;
}

/** Both ends of a terminal: ours as streams, the other as a descriptor to hand to a child process. */
export interface PseudoTerminal {
  /** What is typed. */
  readonly input: Writable;
  /** What is printed. It ends once nobody has the other end any more. */
  readonly output: Readable;
  readonly childEnd: number;
  resize(size: TerminalSize): void;
  /** Gives up this process' own copy of the child's end. */
  closeChildEnd(): void;
  /** Both ends; what was not read is lost. */
  close(): void;
}

function openMaster(): number {
  const fd = posixOpenpt(constants.O_RDWR | constants.O_NOCTTY | O_CLOEXEC) as number;
  if (fd < 0) fail('posix_openpt');
  return fd;
}

function childName(master: number): string {
  if (unlockpt(master) !== 0) fail('unlockpt');
  const name = Buffer.alloc(64);
  if (ptsnameR(master, name, name.length) !== 0) fail('ptsname_r');
  return name.toString('utf8', 0, name.indexOf(0));
}

async function* printed(stream: ReadStream): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of stream) yield chunk as Uint8Array;
  } catch (error) {
    // The last holder of the other end has gone.
    if ((error as NodeJS.ErrnoException).code !== 'EIO') throw error;
  }
}

export function openPseudoTerminal(): PseudoTerminal {
  const master = openMaster();
  let child: number | undefined;
  let stream: ReadStream;
  try {
    child = openSync(childName(master), constants.O_RDWR | constants.O_NOCTTY);
    stream = new ReadStream(master);
  } catch (error) {
    if (child !== undefined) closeSync(child);
    closeSync(master);
    throw error;
  }
  // Told by `output` as well; a write that fails says no more than its end does.
  stream.on('error', () => {});
  const output = Readable.from(printed(stream), { objectMode: false });
  output.on('error', () => {});
  const childEnd = child;
  const closeChildEnd = (): void => {
    if (child !== undefined) closeSync(child);
    child = undefined;
  };
  return {
    input: stream,
    output,
    childEnd,
    closeChildEnd,
    resize({ rows, cols }) {
      if (stream.destroyed) return;
      const size = new Uint16Array([Math.min(rows, MAX_CELLS), Math.min(cols, MAX_CELLS), 0, 0]);
      if (ioctl(master, TIOCSWINSZ, new Uint8Array(size.buffer)) !== 0) fail('ioctl TIOCSWINSZ');
    },
    close() {
      closeChildEnd();
      output.destroy();
      stream.destroy();
    },
  };
}
