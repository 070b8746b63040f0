/** Exporters that the client chooses once it has seen the result (moby.exporter.v1). A client without that service has none. */
import { Code, sleep, toBuildError } from '../base/index.ts';
import type { BuildResult } from '../llb/index.ts';
import { finalizeExport, findExporters } from '../session/index.ts';
import type { SessionCaller, SessionManager } from '../session/types.ts';
import type { ImmutableRef } from '../storage/index.ts';

const WAIT_MS = 5000;

interface Wanted {
  readonly type: string;
  readonly attrs: ReadonlyMap<string, string>;
}

async function callerOf(sessions: SessionManager, id: string, signal: AbortSignal): Promise<SessionCaller> {
  const patience = new AbortController();
  void sleep(WAIT_MS, patience.signal).then(
    () => patience.abort(),
    () => {},
  );
  try {
    return await sessions.get(id, { signal: AbortSignal.any([signal, patience.signal]) });
  } finally {
    patience.abort();
  }
}

/** Unavailable and Unimplemented are how clients say that they have no such service. */
async function ifServed<T>(call: () => Promise<T>, otherwise: T): Promise<T> {
  try {
    return await call();
  } catch (error) {
    const { code } = toBuildError(error);
    if (code === Code.Unavailable || code === Code.Unimplemented) return otherwise;
    throw error;
  }
}

export async function findSessionExporters(
  sessions: SessionManager,
  sessionId: string,
  result: BuildResult<ImmutableRef | undefined>,
  signal: AbortSignal,
): Promise<readonly Wanted[]> {
  const caller = await callerOf(sessions, sessionId, signal);
  const refs = [result.ref, ...(result.refs?.values() ?? [])].filter((ref) => ref !== undefined);
  const ids = refs.map((ref) => ref.id);
  return await ifServed<readonly Wanted[]>(() => findExporters(caller, result.metadata, ids, signal), []);
}

export async function finalizeSessionExport(
  sessions: SessionManager,
  sessionId: string,
  response: ReadonlyMap<string, string>,
  signal: AbortSignal,
): Promise<void> {
  const caller = await callerOf(sessions, sessionId, signal);
  await ifServed(() => finalizeExport(caller, response, signal), undefined);
}
