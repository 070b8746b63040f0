import { BuildError, Code } from '../base/index.ts';

/**
 * Codes that steer this daemon from within (is it worth another try, is there a fallback) and that upstream has none for:
 * its Solve answers Unknown, and every client prints the name of another code before the text.
 */
const INNER: ReadonlySet<Code> = new Set([
  Code.NotFound,
  Code.PermissionDenied,
  Code.FailedPrecondition,
  Code.Unavailable,
  Code.Unauthenticated,
]);

/** What upstream passes on as the client said it (session/filesync/filesync.go). */
const OF_CLIENT = 'no access allowed to dir ';

/** The error as the client of a Solve and the history get it. */
export function answerError(error: BuildError): BuildError {
  if (!INNER.has(error.code) || error.message.includes(OF_CLIENT)) return error;
  const { message, details, attachment } = error;
  return new BuildError(Code.Unknown, message, { cause: error, details, attachment });
}
