/** What names Windows can give to files, and when it takes two for one. Names are byte strings in UTF-8. */
import { isAscii } from '../byte-string.ts';
import type { ByteString } from '../byte-string.ts';

/** Names of devices, in every folder and with every extension; ¹, ² and ³ are digits to it (learn.microsoft.com, "Naming Files, Paths, and Namespaces"). */
const DEVICE = /^(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)(?:[1-9]|\xc2[\xb9\xb2\xb3]))[ ]*(?:[.:].*)?$/i;
// oxlint-disable-next-line no-control-regex
const RESERVED = /[\x00-\x1f<>"|?*\\]/;
const DRIVE = /^[A-Za-z]:/;
/** In UTF-16 units. */
const MAX_NAME = 255;

/** Letters that Windows' table leaves alone though Unicode has capitals for them; no letter becomes an ASCII one either. */
const UNPAIRED = new Set(['\u00b5', '\u0131', '\u017f']);

const utf8 = new TextDecoder('utf-8', { fatal: true });

function capital(letter: string): string {
  const upper = letter.toUpperCase();
  return upper.length !== 1 || UNPAIRED.has(letter) ? letter : upper;
}

/** Equal for names, or paths, that are one to Windows: every UTF-16 unit by its capital. */
export function foldName(name: ByteString): string {
  if (isAscii(name)) return name.toUpperCase();
  const text = Buffer.from(name, 'latin1').toString('utf8');
  let folded = '';
  for (let i = 0; i < text.length; i++) folded += capital(text.charAt(i));
  return folded;
}

/** What is wrong with one name (no path); undefined for a good one. Ends a sentence that begins with the name. */
export function nameFault(name: ByteString): string | undefined {
  if (name === '') return 'is empty';
  if (name === '.' || name === '..') return 'leads to another folder';
  let length = name.length;
  if (!isAscii(name)) {
    try {
      length = utf8.decode(Buffer.from(name, 'latin1')).length;
    } catch {
      return 'is not UTF-8';
    }
  }
  if (DEVICE.test(name)) return 'is the name of a device';
  if (name.includes(':')) return 'names an alternate data stream';
  if (RESERVED.test(name)) return 'has a character that names on Windows cannot have';
  if (name.endsWith('.') || name.endsWith(' ')) return 'ends in a dot or a blank';
  if (length > MAX_NAME) return `is longer than ${MAX_NAME} characters`;
  return undefined;
}

/** What is wrong with the name of a stream beside a file's content, without the file's own and the colon. */
export function streamFault(name: ByteString): string | undefined {
  if (name === '') return 'names a stream without a name';
  const text = Buffer.from(name, 'latin1').toString('utf8');
  if (!isAscii(name) && text.includes('\ufffd')) return 'names a stream that is not UTF-8';
  // oxlint-disable-next-line no-control-regex
  if (/[\x00:/\\]/.test(name)) return 'names a stream that there cannot be';
  return text.length > MAX_NAME ? `names a stream that is longer than ${MAX_NAME} characters` : undefined;
}

/** Why a path with slashes may lead out of where it begins. */
export function escapeFault(path: ByteString): string | undefined {
  if (path.startsWith('/') || path.startsWith('\\')) return 'is absolute';
  if (DRIVE.test(path)) return 'begins with a drive';
  return path.split(/[/\\]/).includes('..') ? 'leads to another folder' : undefined;
}

/** What is wrong with a path with slashes; one slash at its end is allowed. */
export function pathFault(path: ByteString): string | undefined {
  const escapes = escapeFault(path);
  if (escapes !== undefined) return escapes;
  const parts = path.endsWith('/') ? path.slice(0, -1).split('/') : path.split('/');
  for (const part of parts) {
    const fault = nameFault(part);
    if (fault !== undefined) return parts.length === 1 ? fault : `${fault}: ${JSON.stringify(toText(part))}`;
  }
  return undefined;
}

function toText(name: ByteString): string {
  return Buffer.from(name, 'latin1').toString('utf8');
}
