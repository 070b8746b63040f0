import { mkdir, mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, posix } from 'node:path';
import { encodeStatement } from '../../attest/index.ts';
import type { Subject } from '../../attest/index.ts';
import { BuildError, Code, invalidArgument, ThreadPool, workerEntry } from '../../base/index.ts';
import { indentJson } from '../../oci/index.ts';
import { forFiles } from './attestation.ts';
import type { Attestation } from './attestation.ts';
import type { FileDigest } from './digest-files.worker.ts';
import { statementsOf } from './statements.ts';
import { unbundle } from './unbundle.ts';

export interface AttestationFiles {
  /** Holds the statements and nothing else. */
  readonly dir: string;
  release(): Promise<void>;
}

export interface AttestationNaming {
  /** Put before every file's name. */
  readonly prefix: string;
  /** Put before the extension: where files of several platforms lie side by side. */
  readonly platform: string | undefined;
}

const digesters = new ThreadPool(workerEntry(import.meta.url, 'digest-files.worker'), { max: 1 });

/** Every regular file below `dir`. */
async function subjectsIn(dir: string, signal: AbortSignal): Promise<Subject[]> {
  const files = await digesters.start<FileDigest[]>('digestFiles', { dir }, { signal }).result;
  return files.map(({ path, sha256 }) => ({ name: path, digest: new Map([['sha256', sha256]]) }));
}

function nameOf(path: string, { prefix, platform }: AttestationNaming): string {
  const name = prefix + posix.basename(path);
  const extension = posix.extname(name);
  const whole =
    platform === undefined ? name : `${name.slice(0, name.length - extension.length)}.${platform}${extension}`;
  // The name comes from a client; the file is ours.
  if (posix.normalize(`/${whole}`) !== `/${whole}`) {
    throw invalidArgument(`invalid attestation path name ${JSON.stringify(whole)}`);
  }
  return whole;
}

async function writeAll(files: ReadonlyMap<string, string>, dir: string, mtimeSeconds: number): Promise<void> {
  for (const [name, text] of files) {
    const path = join(dir, name);
    await mkdir(posix.dirname(path), { recursive: true });
    await writeFile(path, text, { mode: 0o600 });
    await utimes(path, mtimeSeconds, mtimeSeconds);
  }
}

/** What is attested of the files in `dir`, as files beside them. undefined: nothing is. */
export async function attestationFiles(
  attestations: readonly Attestation[],
  options: { dir: string; naming: AttestationNaming; mtimeSeconds: number; signal: AbortSignal },
): Promise<AttestationFiles | undefined> {
  const single = await unbundle(forFiles(attestations));
  if (single.length === 0) return undefined;
  const statements = await statementsOf(single, await subjectsIn(options.dir, options.signal));
  const files = new Map<string, string>();
  for (const [i, statement] of statements.entries()) {
    const name = nameOf(single[i].path, options.naming);
    if (files.has(name)) throw new BuildError(Code.Unknown, `duplicate attestation path name ${name}`);
    files.set(name, indentJson(encodeStatement(statement)));
  }
  const dir = await mkdtemp(join(tmpdir(), 'buildkit-attestations-'));
  const release = (): Promise<void> => rm(dir, { recursive: true, force: true });
  try {
    await writeAll(files, dir, options.mtimeSeconds);
  } catch (error) {
    await release();
    throw error;
  }
  return { dir, release };
}
