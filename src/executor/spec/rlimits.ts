/** Names of limits as users write them to those of a runtime. */
import { BuildError, Code } from '../../base/index.ts';

export interface OciRlimit {
  readonly type: string;
  readonly soft: unknown;
  readonly hard: unknown;
}

const KNOWN = new Set(
  'AS CORE CPU DATA FSIZE LOCKS MEMLOCK MSGQUEUE NICE NOFILE NPROC RSS RTPRIO RTTIME SIGPENDING STACK'.split(' '),
);

export function rlimit(ulimit: { readonly name: string; readonly soft: number; readonly hard: number }): OciRlimit {
  const name = ulimit.name.toUpperCase();
  if (!KNOWN.has(name)) {
    throw new BuildError(Code.InvalidArgument, `invalid ulimit type: ${ulimit.name}`);
  }
  return { type: `RLIMIT_${name}`, soft: unsigned(ulimit.soft), hard: unsigned(ulimit.hard) };
}

/**
 * -1 is "no limit", which a runtime reads as the largest 64-bit number. No double holds that one, and a rounded one
 * would overflow in the reader: it goes into the JSON as raw digits.
 */
function unsigned(value: number): unknown {
  if (value >= 0 && Number.isSafeInteger(value)) {
    return value;
  }
  return rawJson(BigInt.asUintN(64, BigInt(value)).toString());
}

function rawJson(digits: string): unknown {
  return (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON(digits);
}
