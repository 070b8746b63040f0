import { closeSync, constants, fstatSync, readFile } from 'node:fs';
import { promisify } from 'node:util';
import { BuildError, Code, wrapError } from '../../base/index.ts';
import { openInRoot } from '../../host/index.ts';
import type { ResultAttestation } from '../../llb/index.ts';
import { mountLocally } from '../../storage/index.ts';
import type { ImmutableRef } from '../../storage/types.ts';

export type Attestation = ResultAttestation<ImmutableRef | undefined>;

/** As every reason to leave an attestation out, and every hint for exporters, it is metadata (solver/result/attestation.go upstream). */
export const INLINE_ONLY = 'inline-only';
export const SBOM_CORE = 'sbom-core';

const MAX_BYTES = 40 * 2 ** 20;

const fail = (text: string): BuildError => new BuildError(Code.Unknown, text);

/** The text of a regular file below `root`; links are followed inside of it. */
export async function readAttestationFile(root: string, path: string): Promise<string> {
  let fd: number;
  try {
    fd = openInRoot(root, path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    throw wrapError(error, `open ${path}`);
  }
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile()) throw fail(`${path} is not a regular file`);
    if (stat.size > MAX_BYTES) throw fail(`${path} exceeds ${MAX_BYTES} bytes`);
    return (await promisify(readFile)(fd)).toString('utf8');
  } finally {
    closeSync(fd);
  }
}

/** Runs `work` on a directory with the ref's files. */
export async function onFiles<T>(ref: ImmutableRef, work: (dir: string) => Promise<T>): Promise<T> {
  const mounted = await mountLocally(ref, { readonly: true });
  try {
    return await work(mounted.dir);
  } finally {
    await mounted.release();
  }
}

/** The predicate's JSON, which nobody has checked. */
export async function attestationContent({ content, ref, path }: Attestation): Promise<string> {
  if (content !== undefined) return Buffer.from(await content()).toString('utf8');
  if (ref === undefined) throw fail('no available content for attestation');
  try {
    return await onFiles(ref, (dir) => readAttestationFile(dir, path));
  } catch (error) {
    throw wrapError(error, 'cannot read in-toto attestation');
  }
}

/** Throws for one that names no file or has no content. */
export function checkAttestations(attestations: readonly Attestation[]): void {
  for (const { kind, path, ref, content } of attestations) {
    if (kind !== 'bundle' && path === '') throw fail('attestation does not have set path');
    if (ref === undefined && content === undefined) throw fail('attestation does not have available content');
  }
}

/** Those that are not only for images. */
export function forFiles(attestations: readonly Attestation[]): readonly Attestation[] {
  return attestations.filter(({ metadata }) => {
    const inlineOnly = metadata.get(INLINE_ONLY);
    return inlineOnly === undefined || Buffer.from(inlineOnly).toString('utf8') !== 'true';
  });
}
