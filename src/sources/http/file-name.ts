/** What a download is called. */
import { dispositionFileName } from '../../http/index.ts';

const UNNAMED = 'download';

function lastPart(path: string): string {
  return path.replace(/\/+$/, '').split('/').pop() ?? '';
}

/** Never a path, never a name that a shell or a terminal could trip over; upstream: source/util/pathutil. */
export function safeFileName(text: string): string {
  const name = lastPart(text.trim());
  // oxlint-disable-next-line no-control-regex
  return name === '' || name === '.' || name === '..' || /[\u0000-\u001f\u007f-\u009f]/.test(name) ? UNNAMED : name;
}

/** Bytes that are no UTF-8 become U+FFFD. */
function percentDecoded(text: string): string | undefined {
  if (/%(?![0-9a-fA-F]{2})/.test(text)) return undefined;
  const bytes = Buffer.from(text, 'utf8').toString('latin1');
  const decoded = bytes.replace(/%([0-9a-fA-F]{2})/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)));
  return Buffer.from(decoded, 'latin1').toString('utf8');
}

/** The last part of the path, undefined when it has none. */
function urlName(url: string): string | undefined {
  const path = percentDecoded(url.replace(/^[a-z]+:\/\/[^/?#]*/i, '').replace(/[?#].*$/s, ''));
  const name = path === undefined ? '' : lastPart(path);
  return name === '' || name === '.' ? undefined : name;
}

/** The name that was asked for, else the one that the server gives, else the URL's. */
export function fileNameOf(url: string, asked: string, disposition: string | undefined): string {
  if (asked !== '') return safeFileName(asked);
  const given = disposition === undefined ? '' : (dispositionFileName(disposition) ?? '');
  if (given !== '' && !given.endsWith('/')) return safeFileName(lastPart(given));
  return safeFileName(urlName(url) ?? '');
}
