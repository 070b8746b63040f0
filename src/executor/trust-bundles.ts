/**
 * An authority that a step trusts while it runs: its certificate stands in the rootfs' trust bundle then, and nowhere afterwards.
 * It is written into the file, not mounted over it: a step that installs or renews authorities has to replace that file.
 */
import { closeSync, constants, fstatSync } from 'node:fs';
import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { BuildError, Code } from '../base/index.ts';
import { openInRoot, setOpenFileTimes } from '../host/index.ts';

/** Where common TLS libraries look, in upstream's order: the first that is there counts (executor/proxyca_linux.go). */
const BUNDLES = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
  '/etc/pki/tls/cacert.pem',
  '/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem',
  '/etc/ssl/cert.pem',
];
const BEGIN = '\n# buildkit proxy CA begin\n';
const END = '# buildkit proxy CA end\n';
const O_PATH = 0o10000000;
const MAX_BYTES = 10 << 20;
/** A step may have made it longer; the certificate is found all the same. */
const MAX_AFTER_BYTES = 32 << 20;
const PEM_BEGIN = '-----BEGIN CERTIFICATE-----';
/** It and what stands below it in ASCII is nothing of base64. */
const SPACE = 0x20;
const PEM_END = '-----END CERTIFICATE-----';

/** Undefined where there is no such regular file: a fifo or a device of an image is never opened. The caller closes. */
async function openBundle(root: string, path: string, flags: number): Promise<FileHandle | undefined> {
  let fd: number;
  try {
    fd = openInRoot(root, path, O_PATH);
  } catch {
    return undefined;
  }
  try {
    return fstatSync(fd).isFile() ? await open(`/proc/self/fd/${fd}`, flags) : undefined;
  } finally {
    closeSync(fd);
  }
}

async function read(file: FileHandle, path: string, limit: number): Promise<Buffer> {
  const { size } = await file.stat();
  if (size > limit) throw new BuildError(Code.ResourceExhausted, `${path} exceeds ${limit} bytes`);
  const bytes = Buffer.alloc(size);
  const { bytesRead } = await file.read(bytes, 0, size, 0);
  return bytes.subarray(0, bytesRead);
}

async function write(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
}

/** The text without what {@link trustAuthority} adds, and without the certificate wherever else it stands. */
export function withoutAuthority(text: string, authority: string): string {
  const rest = text.replaceAll(`${BEGIN}${authority}${END}`, '');
  const own = bodyOf(authority);
  const kept: string[] = [];
  let copied = 0;
  for (let at = 0; ;) {
    const begin = rest.indexOf(PEM_BEGIN, at);
    const end = begin < 0 ? -1 : rest.indexOf(PEM_END, begin);
    if (end < 0) break;
    at = end + PEM_END.length;
    // A beginning without an end is no certificate's.
    const start = rest.lastIndexOf(PEM_BEGIN, end);
    if (!isBody(rest, start + PEM_BEGIN.length, end, own)) continue;
    kept.push(rest.slice(copied, start));
    copied = rest[at] === '\n' ? at + 1 : at;
  }
  return kept.join('') + rest.slice(copied);
}

/** What stands between the lines of one certificate, without the lines' breaks: tools break them as they like. */
function bodyOf(pem: string): string {
  return pem.slice(pem.indexOf(PEM_BEGIN) + PEM_BEGIN.length, pem.indexOf(PEM_END)).replace(/\s+/g, '');
}

/** Whether that part of the text is the body; looks no further than where they differ. */
function isBody(text: string, from: number, to: number, body: string): boolean {
  if (to - from > 2 * body.length) return false;
  let seen = 0;
  for (let at = from; at < to; at++) {
    const char = text.charCodeAt(at);
    if (char === body.charCodeAt(seen)) seen++;
    else if (char > SPACE) return false;
  }
  return seen === body.length;
}

/** What the file is to hold; undefined where it may stay as it is. */
async function cleanedText(file: FileHandle, path: string, authority: string): Promise<Buffer | undefined> {
  const text = (await read(file, path, MAX_AFTER_BYTES)).toString('latin1');
  const cleaned = withoutAuthority(text, authority);
  return cleaned === text ? undefined : Buffer.from(cleaned, 'latin1');
}

async function replace(file: FileHandle, bytes: Buffer | undefined): Promise<void> {
  if (bytes === undefined) return;
  await write(file, bytes, 0);
  await file.truncate(bytes.length);
}

interface Placed {
  readonly file: FileHandle;
  readonly path: string;
  readonly before: Buffer;
  readonly after: Buffer;
  readonly times: { readonly atimeNs: bigint; readonly mtimeNs: bigint };
}

/** As it was, to its time, where the step has not touched it. */
async function restore({ file, path, before, after, times }: Placed, authority: string): Promise<void> {
  const { nlink } = await file.stat();
  // The step has removed or replaced it.
  if (nlink === 0) return;
  const now = await read(file, path, MAX_AFTER_BYTES);
  if (!now.equals(after)) {
    await replace(file, await cleanedText(file, path, authority));
    return;
  }
  await file.truncate(before.length);
  setOpenFileTimes(file.fd, times.atimeNs, times.mtimeNs);
}

/** A step may have moved or copied the file to where a bundle is, too. */
async function cleanOthers(root: string, authority: string): Promise<void> {
  for (const path of BUNDLES) {
    // To open it for writing would copy it into the layer.
    await using file = await openBundle(root, path, constants.O_RDONLY);
    const cleaned = file && (await cleanedText(file, path, authority));
    if (cleaned === undefined) continue;
    await using writable = await openBundle(root, path, constants.O_RDWR);
    if (writable !== undefined) await replace(writable, cleaned);
  }
}

async function place(root: string, authority: string): Promise<Placed | undefined> {
  for (const path of BUNDLES) {
    const file = await openBundle(root, path, constants.O_RDWR);
    if (file === undefined) continue;
    try {
      const { atimeNs, mtimeNs } = await file.stat({ bigint: true });
      const before = await read(file, path, MAX_BYTES);
      const isOpen = before.length > 0 && before[before.length - 1] !== 0x0a;
      const added = Buffer.from(`${isOpen ? '\n' : ''}${BEGIN}${authority}${END}`);
      await write(file, added, before.length);
      return { file, path, before, after: Buffer.concat([before, added]), times: { atimeNs, mtimeNs } };
    } catch (error) {
      await file.close();
      throw error;
    }
  }
  return undefined;
}

/**
 * Adds the authority, PEM, to the bundle of the rootfs, if it has one. Resolves to what takes it out again, to be called when no
 * process is in the rootfs any more and before that is unmounted.
 */
export async function trustAuthority(root: string, authority: string): Promise<() => Promise<void>> {
  const placed = await place(root, authority);
  return async () => {
    try {
      if (placed !== undefined) await restore(placed, authority);
    } finally {
      await placed?.file.close();
    }
    await cleanOthers(root, authority);
  };
}
