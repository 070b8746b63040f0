/** Secrets of the client: as a file that never touches a disk, or as text for the environment. */
import { chmod, chown, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BuildError, Code, invalidArgument, isNotFound, randomId, wrapError } from '../../base/index.ts';
import { mount, unmount } from '../../host/index.ts';
import type { SecretEnv, SecretOpt } from '../../proto/ops.pb.ts';
import { fetchSecret } from '../../session/index.ts';
import type { SessionManager } from '../../session/types.ts';
import type { JobContext } from '../../solver/types.ts';
import type { Mountable, MountSet } from '../../storage/types.ts';

/** What is needed of a job to ask its clients. */
export type StepContext = Pick<JobContext, 'signal' | 'sessions'>;

const MAX_SECRET = 500 * 1024;

/** undefined: not there, and optional. */
async function fetchOne(
  sessions: SessionManager,
  secret: { readonly ID: string; readonly optional: boolean },
  context: StepContext,
): Promise<Uint8Array | undefined> {
  const { signal } = context;
  try {
    const data = await sessions.any(
      () => context.sessions(),
      signal,
      (caller) => fetchSecret(caller, secret.ID, signal),
    );
    if (data.length > MAX_SECRET) throw new BuildError(Code.Unknown, `invalid secret size ${data.length}`);
    return data;
  } catch (error) {
    if (secret.optional && isNotFound(error)) return undefined;
    throw error;
  }
}

/** `NAME=value` of each; a value that is missing and may be is empty. */
export async function secretEnvironment(
  sessions: SessionManager,
  secrets: readonly SecretEnv[],
  context: StepContext,
): Promise<string[]> {
  const env: string[] = [];
  for (const secret of secrets) {
    if (secret.ID === '') throw invalidArgument(`secret ID missing for "${secret.name}" environment variable`);
    const data = await fetchOne(sessions, secret, context);
    env.push(`${secret.name}=${Buffer.from(data ?? []).toString('utf8')}`);
  }
  return env;
}

/** undefined: the mount is left out. */
export async function secretMountable(
  sessions: SessionManager,
  option: SecretOpt | undefined,
  context: StepContext,
): Promise<Mountable | undefined> {
  if (option === undefined) throw invalidArgument('invalid secret mount options');
  if (option.ID === '') throw invalidArgument('secret ID missing from mount options');
  const data = await fetchOne(sessions, option, context);
  return data && { mounts: () => mountSecret(option, data) };
}

async function isInUserNamespace(): Promise<boolean> {
  const map = await readFile('/proc/self/uid_map', 'utf8').catch(() => '');
  return map !== '' && !/^\s*0\s+0\s+4294967295\s*$/.test(map);
}

async function mountSecret(option: SecretOpt, data: Uint8Array): Promise<MountSet> {
  const noexec = (option.mode & 0o111) === 0 ? ['noexec'] : [];
  const dir = await mkdtemp(join(tmpdir(), 'buildkit-secrets'));
  const release = async (): Promise<void> => {
    unmount(dir);
    await rm(dir, { recursive: true, force: true });
  };
  try {
    const owner = `uid=${process.geteuid?.() ?? 0},gid=${process.getegid?.() ?? 0}`;
    const options = (await isInUserNamespace()) ? [] : ['nodev', 'nosuid', owner, ...noexec];
    try {
      mount([{ type: 'tmpfs', source: 'tmpfs', options }], dir);
    } catch (error) {
      throw wrapError(error, 'unable to setup secret mount');
    }
    await chmod(dir, 0o711);
    const file = join(dir, randomId());
    await writeFile(file, data, { mode: 0o600, flag: 'wx' });
    await chown(file, option.uid, option.gid);
    await chmod(file, option.mode & 0o777);
    const mounts = [{ type: 'bind', source: file, options: ['ro', 'rbind', 'nodev', 'nosuid', ...noexec] }];
    return { mounts, release };
  } catch (error) {
    await release();
    throw error;
  }
}
