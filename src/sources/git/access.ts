/** What git needs to be let in: credentials, the agent and the known hosts, all lent by the build's clients. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isNotFound, logger, throwIfAborted } from '../../base/index.ts';
import { parseGitUrl } from '../../llb/index.ts';
import { fetchSecret, openAgentSocket, requireAgent } from '../../session/index.ts';
import type { SessionCaller, SessionManager } from '../../session/types.ts';
import type { JobContext } from '../../solver/types.ts';
import type { GitRequest } from './attrs.ts';
import { Git } from './git-program.ts';
import { Redaction, urlSecrets } from './redaction.ts';

interface SecretName {
  readonly id: string;
  readonly isToken: boolean;
}

/** In the order in which they are tried: those for the host come first. */
export function secretNames(request: Pick<GitRequest, 'remote' | 'headerSecret' | 'tokenSecret'>): SecretName[] {
  let host: string;
  try {
    const url = parseGitUrl(request.remote);
    if (url === undefined || !url.scheme.startsWith('http')) return [];
    host = url.host;
  } catch {
    return [];
  }
  const names = [
    { id: request.headerSecret, isToken: false },
    { id: request.tokenSecret, isToken: true },
  ].filter(({ id }) => id !== '');
  return [...names.map(({ id, isToken }) => ({ id: `${id}.${host}`, isToken })), ...names];
}

/** A token of github.com serves for all that is there (as actions/checkout has it); others for the one remote. */
export function headerScope(remote: string): string {
  return ['https://github.com/', 'https://www.github.com/'].find((prefix) => remote.startsWith(prefix)) ?? remote;
}

interface Credential {
  /** Of the Authorization header. */
  readonly value: string;
  readonly secrets: readonly string[];
}

async function askClient(
  caller: SessionCaller,
  names: readonly SecretName[],
  signal: AbortSignal,
): Promise<Credential | undefined> {
  for (const { id, isToken } of names) {
    try {
      const secret = Buffer.from(await fetchSecret(caller, id, signal))
        .toString('utf8')
        .replace(/[\r\n]+$/, '');
      if (!isToken) return { value: secret, secrets: [secret, secret.slice(secret.lastIndexOf(' ') + 1)] };
      const basic = Buffer.from(`x-access-token:${secret}`).toString('base64');
      return { value: `basic ${basic}`, secrets: [secret, basic] };
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }
  return undefined;
}

async function findCredential(
  sessions: SessionManager,
  request: GitRequest,
  context: JobContext,
): Promise<Credential | undefined> {
  const names = secretNames(request);
  if (names.length === 0 || context.sessions().length === 0) return undefined;
  const { signal } = context;
  try {
    return await sessions.any(
      () => context.sessions(),
      signal,
      (caller) => askClient(caller, names, signal),
    );
  } catch (error) {
    throwIfAborted(signal);
    // The repository may be open to everybody.
    logger.warn('no git credentials from the client', { error });
    return undefined;
  }
}

/** Runs `work` with a git that may speak to the remote; what was lent is given back at the end. */
export async function withAccess<T>(
  { sessions, gitIdleMs }: { readonly sessions: SessionManager; readonly gitIdleMs?: number },
  request: GitRequest,
  context: JobContext,
  work: (git: Git) => Promise<T>,
): Promise<T> {
  const { signal, progress } = context;
  await using lent = new AsyncDisposableStack();
  let agentSocket: string | undefined;
  if (request.agentId !== '') {
    const caller = await sessions.any(
      () => context.sessions(),
      signal,
      async (candidate) => {
        await requireAgent(candidate, request.agentId, signal);
        return candidate;
      },
    );
    const owner = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
    const socket = await openAgentSocket(caller, { id: request.agentId, ...owner, mode: 0o700 });
    lent.defer(() => socket.release());
    agentSocket = socket.path;
  }
  let knownHostsFile: string | undefined;
  if (request.knownHosts !== '') {
    const dir = await mkdtemp(join(tmpdir(), 'buildkit-known-hosts'));
    lent.defer(() => rm(dir, { recursive: true, force: true }));
    knownHostsFile = join(dir, 'known_hosts');
    await writeFile(knownHostsFile, request.knownHosts);
  }
  const credential = request.bundle === undefined ? await findCredential(sessions, request, context) : undefined;
  const redaction = new Redaction([...urlSecrets(request.remote), ...(credential?.secrets ?? [])]);
  const header = credential && { url: headerScope(request.remote), value: credential.value };
  return await work(new Git({ header, agentSocket, knownHostsFile, redaction, progress, signal, idleMs: gitIdleMs }));
}
