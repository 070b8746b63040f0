/**
 * The one place where BuildError and the gRPC status meet. On the wire an error is `grpc-status`, a percent-encoded
 * `grpc-message` and, when there are details or the text was cut, `grpc-status-details-bin`: base64 of a
 * google.rpc.Status. Details pass untouched, also those that nobody here knows.
 */
import { BuildError, Code, logger, toBuildError, VERSION } from '../base/index.ts';
import type { ErrorDetail } from '../base/index.ts';
import { Status } from '../proto/status.pb.ts';
import { fieldOf } from './http2/index.ts';
import type { Fields } from './http2/index.ts';

/** Encoded bytes of grpc-message: proxies and older peers take header lists of 8 KiB. */
const MAX_MESSAGE_HEADER = 6 << 10;
/** The full text, which travels in the details. */
const MAX_STATUS_TEXT = 8 << 10;
/** All of google.rpc.Status before base64: peers that use nghttp2 take no header value beyond 64 KiB (NGHTTP2_HD_MAX_NV). */
const MAX_STATUS_BYTES = 46 << 10;
/** What can be missed most is dropped first. */
const MAX_FRAMES = 32;
const STACK = 'github.com/moby/buildkit/stack.Stack+json';

function percentEncode(text: string, limit: number): { encoded: string; cut: boolean } {
  const bytes = Buffer.from(text, 'utf8');
  const out: string[] = [];
  let length = 0;
  // A cut never leaves half a character: `safe` is the piece count at the last character boundary.
  let safe = 0;
  for (const byte of bytes) {
    const piece =
      byte >= 0x20 && byte <= 0x7e && byte !== 0x25
        ? String.fromCharCode(byte)
        : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
    if ((byte & 0xc0) !== 0x80) safe = out.length;
    if (length + piece.length > limit) return { encoded: out.slice(0, safe).join(''), cut: true };
    out.push(piece);
    length += piece.length;
  }
  return { encoded: out.join(''), cut: false };
}

/** Broken escapes stay as they are, as the protocol asks. */
export function percentDecode(text: string): string {
  if (!text.includes('%')) return text;
  const out: number[] = [];
  for (let i = 0; i < text.length; i++) {
    const hex = text[i] === '%' ? text.slice(i + 1, i + 3) : '';
    if (/^[0-9a-fA-F]{2}$/.test(hex)) {
      out.push(parseInt(hex, 16));
      i += 2;
    } else out.push(...Buffer.from(text[i], 'utf8'));
  }
  return Buffer.from(out).toString('utf8');
}

function cutText(text: string): string {
  return text.length <= MAX_STATUS_TEXT ? text : `${text.slice(0, MAX_STATUS_TEXT)}…`;
}

/** Drops stacks, then the largest details, until the rest fits. */
function fitting(details: readonly ErrorDetail[], budget: number): ErrorDetail[] {
  const size = (d: ErrorDetail): number => d.value.length + d.typeUrl.length + 16;
  let total = details.reduce((sum, d) => sum + size(d), 0);
  if (total <= budget) return [...details];
  const kept = new Set(details);
  const order = [...details].sort(
    (a, b) => Number(b.typeUrl === STACK) - Number(a.typeUrl === STACK) || size(b) - size(a),
  );
  for (const d of order) {
    if (total <= budget) break;
    kept.delete(d);
    total -= size(d);
  }
  return details.filter((d) => kept.has(d));
}

/** Where the error began, as far as this process knows; upstream's clients print it in their debug mode. */
function stackDetail(error: BuildError): ErrorDetail | undefined {
  const pid = process.pid;
  // What already passed a door of this process has its stack.
  if (error.details.some((d) => d.typeUrl === STACK && Buffer.from(d.value).includes(`"pid":${pid},`)))
    return undefined;
  let first: Error = error;
  while (first.cause instanceof Error) first = first.cause;
  const frames = (first.stack ?? '').split('\n').flatMap((line) => {
    const found = /^ {4}at (?:(.*) \()?(?:file:\/\/)?([^()]+):(\d+):\d+\)?$/.exec(line);
    return found === null ? [] : [{ Name: found[1] ?? '<anonymous>', File: found[2], Line: Number(found[3]) }];
  });
  if (frames.length === 0) return undefined;
  const stack = {
    frames: frames.slice(0, MAX_FRAMES),
    cmdline: process.argv,
    pid,
    version: VERSION.version,
    revision: VERSION.revision,
  };
  return { typeUrl: STACK, value: Buffer.from(JSON.stringify(stack)) };
}

/** The google.rpc.Status of an error, as also used inside messages (history records, gateway results). */
export function encodeStatus(thrown: unknown): Status {
  const error = toBuildError(thrown);
  const message = cutText(error.message);
  const stack = stackDetail(error);
  const all = stack === undefined ? error.details : [stack, ...error.details];
  const details = fitting(all, MAX_STATUS_BYTES - Buffer.byteLength(message));
  return {
    code: error.code,
    message,
    details: details.map((d) => ({ typeUrl: d.typeUrl, value: d.value })),
  };
}

export function decodeStatus(status: Status): BuildError {
  return new BuildError(toCode(status.code), status.message, {
    details: status.details.map((d) => ({ typeUrl: d.typeUrl, value: d.value })),
  });
}

/** Trailers of a call that failed; `undefined` is success. */
export function statusFields(thrown: unknown): string[] {
  if (thrown === undefined) return ['grpc-status', '0', 'grpc-message', ''];
  const status = encodeStatus(thrown);
  // An error must never look like success.
  if (status.code === Code.OK) status.code = Code.Unknown;
  const { encoded, cut } = percentEncode(status.message, MAX_MESSAGE_HEADER);
  const fields = ['grpc-status', String(status.code), 'grpc-message', encoded];
  if (cut || status.details.length > 0) {
    const details = Buffer.from(Status.encode(status).finish()).toString('base64');
    fields.push('grpc-status-details-bin', details.replace(/=+$/, ''));
  }
  return fields;
}

function toCode(value: number): Code {
  return value >= 0 && value <= 16 ? (value as Code) : Code.Unknown;
}

/** Undefined when the fields carry no status; `ok` or the error otherwise. */
export function parseStatusFields(fields: Fields): { readonly error: BuildError | undefined } | undefined {
  const text = fieldOf(fields, 'grpc-status');
  if (text === undefined) return undefined;
  const code = /^\d+$/.test(text) ? toCode(Number(text)) : Code.Unknown;
  if (code === Code.OK) return { error: undefined };
  const bin = fieldOf(fields, 'grpc-status-details-bin');
  if (bin !== undefined) {
    try {
      const status = Status.decode(Buffer.from(bin, 'base64'));
      if (toCode(status.code) === code) return { error: decodeStatus(status) };
    } catch (error) {
      logger.debug('undecodable status details', { error });
    }
  }
  return { error: new BuildError(code, percentDecode(fieldOf(fields, 'grpc-message') ?? '')) };
}

/** What a reset stream without a status means (grpc/doc/PROTOCOL-HTTP2.md, "Errors"); `lost`: why the connection is over, if it is. */
export function resetError(rstCode: number | undefined, context: string, lost?: Error): BuildError {
  switch (rstCode) {
    case 8:
      return new BuildError(Code.Canceled, 'context canceled');
    case 7:
      return new BuildError(Code.Unavailable, `${context}: stream refused`);
    case 11:
      return new BuildError(Code.ResourceExhausted, `${context}: peer asks to calm down`);
    case 12:
      return new BuildError(Code.PermissionDenied, `${context}: inadequate security`);
    case undefined:
    case 0: {
      const why = lost === undefined ? '' : `: ${lost.message}`;
      return new BuildError(Code.Unavailable, `${context}: connection closed${why}`, { cause: lost });
    }
    default:
      return new BuildError(Code.Internal, `${context}: stream terminated by RST_STREAM with error code ${rstCode}`);
  }
}
