import { readdir } from 'node:fs/promises';
import { posix } from 'node:path';
import { decodeStatement, isProvenance } from '../../attest/index.ts';
import { BuildError, Code, wrapError } from '../../base/index.ts';
import { resolveInRoot } from '../../host/index.ts';
import { checkAttestations, onFiles, readAttestationFile, SBOM_CORE } from './attestation.ts';
import type { Attestation } from './attestation.ts';

const fail = (text: string): BuildError => new BuildError(Code.Unknown, text);

async function listBundle(dir: string, path: string): Promise<string[]> {
  try {
    const names = await readdir(resolveInRoot(dir, path));
    return names.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  } catch (error) {
    throw wrapError(error, `open ${path}`);
  }
}

/** Each file of a bundle is a statement: its predicate becomes an attestation of its own, its subjects stay as they are. */
async function openBundle(bundle: Attestation): Promise<Attestation[]> {
  const { ref, path, metadata, predicateType: wanted = '' } = bundle;
  if (bundle.content !== undefined) throw fail('attestation bundle cannot have callback');
  if (ref === undefined) throw fail('no ref provided for attestation bundle');
  return await onFiles(ref, async (dir) => {
    const found: Attestation[] = [];
    for (const name of await listBundle(dir, path)) {
      const file = posix.join(path, name);
      const { predicateType, subjects, predicate } = decodeStatement(await readAttestationFile(dir, file));
      if (wanted !== '' && predicateType !== wanted) {
        throw fail(`bundle entry ${predicateType} does not match required predicate type ${wanted}`);
      }
      if (isProvenance(predicateType)) throw fail('frontend may not bundle provenance attestations');
      const bytes = Buffer.from(predicate);
      found.push({
        kind: 'in-toto',
        metadata,
        path: file,
        predicateType,
        subjects: subjects.map((subject) => ({
          kind: 'raw',
          name: subject.name,
          digest: [...subject.digest].map(([algorithm, hex]) => `${algorithm}:${hex}`),
        })),
        content: () => Promise.resolve(bytes),
      });
    }
    return found;
  });
}

async function open(attestation: Attestation): Promise<Attestation[]> {
  if (attestation.kind === 'bundle') return await openBundle(attestation);
  // The daemon's own has its content with it.
  if (isProvenance(attestation.predicateType ?? '') && attestation.content === undefined) {
    throw fail('frontend may not set provenance attestations');
  }
  return [attestation];
}

/** The SBOM of the image itself, as opposed to those of stages and contexts. */
export function isCoreSbom({ metadata, path }: Attestation): boolean {
  const core = metadata.get(SBOM_CORE);
  return core !== undefined && posix.basename(path).split('.', 1)[0] === Buffer.from(core).toString('utf8');
}

/** Single attestations, those with the SBOM of the image itself first. */
export async function unbundle(attestations: readonly Attestation[]): Promise<Attestation[]> {
  checkAttestations(attestations);
  const opened = (await Promise.all(attestations.map(open))).flat();
  const sorted = [...opened.filter(isCoreSbom), ...opened.filter((a) => !isCoreSbom(a))];
  checkAttestations(sorted);
  return sorted;
}
