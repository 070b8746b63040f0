/**
 * The one error that travels: through the solver, over gRPC and back. Only rpc/ turns it into a status and a status
 * into it. Codes are those of gRPC (github.com/grpc/grpc/blob/master/doc/statuscodes.md).
 */
export const Code = {
  OK: 0,
  Canceled: 1,
  Unknown: 2,
  InvalidArgument: 3,
  DeadlineExceeded: 4,
  NotFound: 5,
  AlreadyExists: 6,
  PermissionDenied: 7,
  ResourceExhausted: 8,
  FailedPrecondition: 9,
  Aborted: 10,
  OutOfRange: 11,
  Unimplemented: 12,
  Internal: 13,
  Unavailable: 14,
  DataLoss: 15,
  Unauthenticated: 16,
} as const;
export type Code = (typeof Code)[keyof typeof Code];

/** A typed detail exactly as it stands in google.rpc.Status.details: unknown ones are carried through untouched. */
export interface ErrorDetail {
  /** e.g. `github.com/moby/buildkit/errdefs.Vertex+json` */
  readonly typeUrl: string;
  /** JSON bytes for the `+json` types. */
  readonly value: Uint8Array;
}

const DETAIL_PREFIX = 'github.com/moby/buildkit/';

/** A detail whose value is JSON, as every detail of BuildKit's own is: `name` is like `errdefs.Vertex`. */
export function jsonDetail(name: string, value: unknown): ErrorDetail {
  return { typeUrl: `${DETAIL_PREFIX}${name}+json`, value: Buffer.from(JSON.stringify(value)) };
}

export interface BuildErrorOptions {
  readonly cause?: unknown;
  readonly details?: readonly ErrorDetail[];
  readonly attachment?: unknown;
}

export class BuildError extends Error {
  readonly code: Code;
  readonly details: readonly ErrorDetail[];
  /** What only this process can use of the error: it survives every wrapping and never travels. */
  readonly attachment: unknown;

  constructor(code: Code, message: string, options: BuildErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'BuildError';
    this.code = code;
    this.details = options.details ?? [];
    this.attachment = options.attachment;
  }

  /** The same error with one more detail; the message does not change. */
  withDetail(detail: ErrorDetail): BuildError {
    return this.#with([...this.details, detail], this.attachment);
  }

  /** As {@link withDetail}, in place of those of the same type. */
  replaceDetail(detail: ErrorDetail): BuildError {
    return this.#with([...this.details.filter((d) => d.typeUrl !== detail.typeUrl), detail], this.attachment);
  }

  withAttachment(attachment: unknown): BuildError {
    return this.#with(this.details, attachment);
  }

  #with(details: readonly ErrorDetail[], attachment: unknown): BuildError {
    return new BuildError(this.code, this.message, { cause: this.cause ?? this, details, attachment });
  }

  /** The value of the first detail of that name (see {@link jsonDetail}), or undefined. */
  findDetail(name: string): unknown {
    const url = `${DETAIL_PREFIX}${name}+json`;
    const found = this.details.find((d) => d.typeUrl === url);
    return found === undefined ? undefined : JSON.parse(Buffer.from(found.value).toString('utf8'));
  }

  get isCanceled(): boolean {
    return this.code === Code.Canceled;
  }
}

/** errno names of Node's system errors that have a code of their own on the wire. */
const ERRNO_CODES: Readonly<Record<string, Code>> = {
  ENOSPC: Code.ResourceExhausted,
  EDQUOT: Code.ResourceExhausted,
  ENOMEM: Code.ResourceExhausted,
  EMFILE: Code.ResourceExhausted,
  ENFILE: Code.ResourceExhausted,
  EIO: Code.Internal,
  EFAULT: Code.Internal,
  ENOTRECOVERABLE: Code.Internal,
  EHWPOISON: Code.Internal,
};

/** What Node says of a failed system call: `ENOENT: no such file or directory, open '/x' -> '/y'`. */
const SYSTEM_CALL = /^E[A-Z0-9]+: (.+), (\w+)(?: '(.*?)'(?: -> '(.*)')?)?$/s;

/** The same in the order and words that users of upstream know: `open /x: no such file or directory`. */
function systemCallText(message: string): string {
  const found = SYSTEM_CALL.exec(message);
  if (found === null) return message;
  const [, reason, call, path, target] = found;
  const words = [call, path, target].filter((word) => word !== undefined).join(' ');
  return `${words}: ${reason.replace('illegal operation on a directory', 'is a directory')}`;
}

/** SQLite's result code SQLITE_FULL, as node:sqlite throws it. */
function isFullDatabase(error: Error): boolean {
  return (error as { errcode?: unknown }).errcode === 13;
}

/** Turns anything thrown into a BuildError: AbortErrors become Canceled, errno decides where it is known. */
export function toBuildError(thrown: unknown): BuildError {
  if (thrown instanceof BuildError) return thrown;
  if (thrown instanceof Error) {
    if (thrown.name === 'AbortError') {
      if (thrown.cause instanceof BuildError) return thrown.cause;
      return new BuildError(Code.Canceled, 'context canceled', { cause: thrown });
    }
    if (thrown.name === 'TimeoutError') {
      return new BuildError(Code.DeadlineExceeded, 'context deadline exceeded', { cause: thrown });
    }
    const errno = (thrown as NodeJS.ErrnoException).code;
    const known = typeof errno === 'string' ? ERRNO_CODES[errno] : undefined;
    const code = known ?? (isFullDatabase(thrown) ? Code.ResourceExhausted : Code.Unknown);
    return new BuildError(code, errno === undefined ? thrown.message : systemCallText(thrown.message), {
      cause: thrown,
    });
  }
  return new BuildError(Code.Unknown, String(thrown));
}

/** Puts `context` before the message, as `context: message`, and keeps code, details and cause. */
export function wrapError(thrown: unknown, context: string): BuildError {
  const inner = toBuildError(thrown);
  return new BuildError(inner.code, `${context}: ${inner.message}`, {
    cause: inner,
    details: inner.details,
    attachment: inner.attachment,
  });
}

export function canceled(message = 'context canceled'): BuildError {
  return new BuildError(Code.Canceled, message);
}
export function invalidArgument(message: string, options?: BuildErrorOptions): BuildError {
  return new BuildError(Code.InvalidArgument, message, options);
}
export function notFound(message: string, options?: BuildErrorOptions): BuildError {
  return new BuildError(Code.NotFound, message, options);
}
export function internal(message: string, options?: BuildErrorOptions): BuildError {
  return new BuildError(Code.Internal, message, options);
}
export function unimplemented(message: string, options?: BuildErrorOptions): BuildError {
  return new BuildError(Code.Unimplemented, message, options);
}

export function isNotFound(thrown: unknown): boolean {
  return thrown instanceof BuildError
    ? thrown.code === Code.NotFound
    : (thrown as NodeJS.ErrnoException)?.code === 'ENOENT';
}
