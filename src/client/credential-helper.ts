import { invalidArgument } from '../base/index.ts';
import { spawnProcess } from '../host/index.ts';
import type { ChildProcess } from '../host/index.ts';
import type { CredentialHelper } from '../session/index.ts';

/** A login is small; keychains may first ask a person. */
const MAX_ANSWER = 1 << 20;
const PATIENCE_MS = 5 * 60_000;

async function start(program: string, signal: AbortSignal): Promise<ChildProcess> {
  try {
    // Its complaints are for who sits there.
    return await spawnProcess({ command: program, args: ['get'], stdio: ['pipe', 'pipe', 'inherit'], signal });
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') throw cause;
    throw invalidArgument(`exec: "${program}": executable file not found in $PATH, out: \`\``, { cause });
  }
}

/** Asks `docker-credential-<name>` of the search path: the registry on stdin, JSON on stdout. */
export const runCredentialHelper: CredentialHelper = async (name, input) => {
  const child = await start(`docker-credential-${name}`, AbortSignal.timeout(PATIENCE_MS));
  const chunks: Buffer[] = [];
  try {
    // One that does not read its input closes it.
    child.stdin?.on('error', () => {});
    child.stdin?.end(input);
    let size = 0;
    for await (const chunk of child.stdout ?? []) {
      size += (chunk as Buffer).length;
      if (size > MAX_ANSWER) throw invalidArgument('too long an answer');
      chunks.push(chunk as Buffer);
    }
  } catch (error) {
    child.kill();
    await child.exited;
    throw error;
  }
  const { code, signal } = await child.exited;
  const said = Buffer.concat(chunks).toString('utf8').trim();
  if (code === 0) return said;
  // In the words of Docker's client (docker-credential-helpers, client/client.go).
  const how = code === null ? `signal: ${signal ?? 'unknown'}` : `exit status ${code}`;
  throw invalidArgument(`${how}, out: \`${said}\``);
};
