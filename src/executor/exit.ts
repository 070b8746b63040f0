/** What the end of a process means. */
import { abortReason, BuildError, Code, jsonDetail, wrapError } from '../base/index.ts';
import type { ProcessExit } from '../host/index.ts';

const UNKNOWN_EXIT = 255;
const NO_SPACE = /no space left on device|disk quota exceeded|cannot allocate memory|too many open files/i;
/** The program of the step itself could not be started: that is the step's failure, with the code that the runtime gave. */
const STEP_FAULT = /exec: |executable file not found|exec format error|chdir to cwd/i;

export interface ProcessEnd {
  readonly exit: ProcessExit;
  /** What the runtime logged as its own failure. */
  readonly runtimeError: string | undefined;
  readonly outOfMemory: boolean;
  readonly validExitCodes: readonly number[];
  readonly signal: AbortSignal;
}

function withCode(error: BuildError, code: number): BuildError {
  return error.withDetail(jsonDetail('gatewayapi.ExitMessage', { Code: code }));
}

/** Throws unless the process ended with a code that counts as success. */
export function checkEnd(end: ProcessEnd): void {
  const code = end.exit.code ?? UNKNOWN_EXIT;
  const message = `exit code: ${code}`;
  const valid = end.validExitCodes.length === 0 ? [0] : end.validExitCodes;
  if (end.runtimeError === undefined && valid.includes(code)) return;
  if (end.signal.aborted) throw withCode(wrapError(abortReason(end.signal), message), code);
  if (end.runtimeError !== undefined) {
    if (NO_SPACE.test(end.runtimeError)) throw new BuildError(Code.ResourceExhausted, end.runtimeError);
    if (!STEP_FAULT.test(end.runtimeError)) throw new BuildError(Code.Internal, end.runtimeError);
    if (valid.includes(code)) return;
  }
  if (end.outOfMemory) throw withCode(new BuildError(Code.ResourceExhausted, 'cannot allocate memory'), code);
  throw withCode(new BuildError(Code.Unknown, message), code);
}
