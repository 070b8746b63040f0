/** in-toto statements, version 1: a predicate and what it is about. */
import { invalidArgument, wrapError } from '../base/index.ts';
import { compactJson, goJson } from '../oci/index.ts';
import { anyJson } from './any-json.ts';

export const STATEMENT_MEDIA_TYPE = 'application/vnd.in-toto+json';
export const SPDX_PREDICATE = 'https://spdx.dev/Document';
const SLSA_PREDICATES = 'https://slsa.dev/provenance/';
const STATEMENT_TYPE = 'https://in-toto.io/Statement/v1';

export interface Subject {
  readonly name: string;
  /** By algorithm, in hexadecimal. */
  readonly digest: ReadonlyMap<string, string>;
}

export interface Statement {
  readonly predicateType: string;
  readonly subjects: readonly Subject[];
  /** JSON text. */
  readonly predicate: string;
}

/** Only the daemon itself may say how something was built. */
export function isProvenance(predicateType: string): boolean {
  return predicateType.startsWith(SLSA_PREDICATES);
}

/** `sha256:…` texts as a statement lists them. */
export function digestMap(digests: Iterable<string>): Map<string, string> {
  return new Map(
    [...digests].map((digest) => {
      const colon = digest.indexOf(':');
      if (colon <= 0) throw invalidArgument(`invalid digest ${JSON.stringify(digest)} of an attestation's subject`);
      return [digest.slice(0, colon), digest.slice(colon + 1)];
    }),
  );
}

/** Go's JSON, in one line. The predicate must be JSON. */
export function encodeStatement({ predicateType, subjects, predicate }: Statement): string {
  const subject = goJson(subjects.map(({ name, digest }) => ({ name, digest })));
  const head = `"_type":${goJson(STATEMENT_TYPE)},"predicateType":${goJson(predicateType)},"subject":${subject}`;
  return `{${head},"predicate":${compactJson(predicate)}}`;
}

function subjectOf(value: unknown): Subject {
  const { name, digest } = (value ?? {}) as { name?: unknown; digest?: unknown };
  const digests = Object.entries((digest ?? {}) as Record<string, unknown>);
  if ((name ?? '') !== '' && typeof name !== 'string') throw invalidArgument('subject name is not a string');
  if (digests.some(([, hex]) => typeof hex !== 'string')) throw invalidArgument('subject digest is not a string');
  return { name: (name ?? '') as string, digest: new Map(digests as [string, string][]) };
}

/** A file of a bundle. Throws InvalidArgument. */
export function decodeStatement(text: string): Statement {
  try {
    const json = JSON.parse(text) as unknown;
    if (typeof json !== 'object' || json === null || Array.isArray(json)) throw invalidArgument('not an object');
    const { predicateType = '', subject, predicate } = json as Record<string, unknown>;
    if (typeof predicateType !== 'string') throw invalidArgument('predicateType is not a string');
    const subjects = subject ?? [];
    if (!Array.isArray(subjects)) throw invalidArgument('subject is not a list');
    return { predicateType, subjects: subjects.map(subjectOf), predicate: goJson(anyJson(predicate ?? null)) };
  } catch (error) {
    throw wrapError(error, 'cannot decode in-toto statement');
  }
}
