import type { SessionCaller, SessionManager } from '../session/types.ts';
import type { ExportContext } from './types.ts';

/** How long a client that asked for files may take to open its session. */
const SESSION_WAIT_MS = 5000;

/** The client that the export goes to. */
export async function clientOf(sessions: SessionManager, context: ExportContext): Promise<SessionCaller> {
  const signal = AbortSignal.any([context.signal, AbortSignal.timeout(SESSION_WAIT_MS)]);
  return await sessions.get(context.sessionId, { signal });
}
