/** Errors about a place in the Dockerfile: lists of line ranges travel on the error until the sources are attached. */
import { BuildError, Code, toBuildError } from '../../base/index.ts';
import type { BuildErrorOptions } from '../../base/index.ts';
import type { Range } from '../../proto/ops.pb.ts';

/** Lines, 1-based, inclusive. */
export interface LineRange {
  readonly start: number;
  readonly end: number;
}

/** Kinds that upstream's parsers and resolvers do not put on the wire: clients would show them before the message. */
const UNSAID: ReadonlySet<Code> = new Set([Code.InvalidArgument, Code.NotFound, Code.Unavailable]);

export class LocatedError extends BuildError {
  readonly locations: readonly (readonly LineRange[])[];

  constructor(inner: BuildError, locations: readonly (readonly LineRange[])[], message = inner.message) {
    super(UNSAID.has(inner.code) ? Code.Unknown : inner.code, message, {
      cause: inner.cause ?? inner,
      details: inner.details,
    });
    this.locations = locations;
  }
}

/** One range for each line, as upstream reports them. */
export function lineRanges(start: number, end = start): LineRange[] {
  const ranges: LineRange[] = [];
  for (let line = start; line <= Math.max(start, end); line++) ranges.push({ start: line, end: line });
  return ranges;
}

function locationsOf(error: BuildError): readonly (readonly LineRange[])[] {
  return error instanceof LocatedError ? error.locations : [];
}

/** Adds a place; no lines are none. */
export function withLocation(thrown: unknown, ranges: readonly LineRange[]): LocatedError {
  const error = toBuildError(thrown);
  return new LocatedError(error, ranges.length === 0 ? locationsOf(error) : [...locationsOf(error), ranges]);
}

/** Replaces all places. */
export function setLocation(thrown: unknown, ranges: readonly LineRange[]): LocatedError {
  return new LocatedError(toBuildError(thrown), [ranges]);
}

/** `context: message`, keeping the places. */
export function prefixError(thrown: unknown, context: string): BuildError {
  const error = toBuildError(thrown);
  const message = `${context}: ${error.message}`;
  if (error instanceof LocatedError) return new LocatedError(error, error.locations, message);
  return new BuildError(error.code, message, { cause: error, details: error.details });
}

/** `message suffix`, keeping the places. */
export function suffixError(thrown: unknown, suffix: string): BuildError {
  const error = toBuildError(thrown);
  const message = `${error.message}${suffix}`;
  if (error instanceof LocatedError) return new LocatedError(error, error.locations, message);
  return new BuildError(error.code, message, { cause: error, details: error.details });
}

/** What is wrong with the user's text: upstream gives these no code of their own. */
export function textError(message: string, options?: BuildErrorOptions): BuildError {
  return new BuildError(Code.Unknown, message, options);
}

export function toWireRanges(ranges: readonly LineRange[]): Range[] {
  return ranges.map((r) => ({ start: { line: r.start, character: 0 }, end: { line: r.end, character: 0 } }));
}
