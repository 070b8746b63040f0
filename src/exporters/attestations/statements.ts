import { digestMap } from '../../attest/index.ts';
import type { Statement, Subject } from '../../attest/index.ts';
import { wrapError } from '../../base/index.ts';
import { attestationContent } from './attestation.ts';
import type { Attestation } from './attestation.ts';

/** `self` are the subjects that an attestation about the result itself has. */
function subjectsOf({ subjects = [] }: Attestation, self: readonly Subject[]): Subject[] {
  if (subjects.length === 0) return [...self];
  return subjects.flatMap(({ kind, name, digest }) => {
    if (kind === 'raw') return [{ name: name === '' ? '_' : name, digest: digestMap(digest) }];
    return self.flatMap((subject) => (name === '' || name === '_' ? [subject] : [subject, { ...subject, name }]));
  });
}

/** Of attestations without bundles. */
export async function statementsOf(
  attestations: readonly Attestation[],
  self: readonly Subject[],
): Promise<Statement[]> {
  return await Promise.all(
    attestations.map(async (attestation) => {
      const text = await attestationContent(attestation);
      return {
        predicateType: attestation.predicateType ?? '',
        subjects: subjectsOf(attestation, self),
        predicate: jsonOf(text),
      };
    }),
  );
}

/** An empty file says nothing. */
function jsonOf(text: string): string {
  if (text === '') return 'null';
  try {
    JSON.parse(text);
    return text;
  } catch (error) {
    throw wrapError(error, 'failed to marshal attestation');
  }
}
