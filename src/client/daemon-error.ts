import { BuildError, Code, toBuildError } from '../base/index.ts';

/**
 * An error that the daemon answered, in the words of upstream's clients: a code that says something stands before the
 * message (util/grpcerrors upstream).
 */
export function daemonError(thrown: unknown, context: string): BuildError {
  const error = toBuildError(thrown);
  const name = Object.entries(Code).find(([, code]) => code === error.code)?.[0] ?? '';
  const said = error.code === Code.Unknown || error.code === Code.OK ? error.message : `${name}: ${error.message}`;
  return new BuildError(error.code, `${context}: ${said}`, { cause: error, details: error.details });
}
