/** Which attestations a build is asked for: `attest:sbom`, `attest:provenance`, and the same as build arguments. */
import { BuildError, Code, csvFields, wrapError } from '../base/index.ts';

export type AttestationType = 'sbom' | 'provenance';

/** By type, what the user said of it. */
export type AttestationRequests = ReadonlyMap<AttestationType, ReadonlyMap<string, string>>;

const PREFIXES = ['attest:', 'build-arg:BUILDKIT_ATTEST_'];
const DEFAULTS: Readonly<Record<AttestationType, readonly [key: string, value: string]>> = {
  sbom: ['generator', 'docker/buildkit-syft-scanner:stable-1'],
  provenance: ['version', 'v1'],
};

/** Throws for an unknown type and for what is no list of `key=value`. */
export function parseAttestationRequests(options: ReadonlyMap<string, string>): AttestationRequests {
  const requests = new Map<AttestationType, Map<string, string>>();
  for (const prefix of PREFIXES) {
    for (const [key, value] of options) {
      if (!key.startsWith(prefix)) continue;
      const type = key.slice(prefix.length).toLowerCase();
      if (type !== 'sbom' && type !== 'provenance') {
        throw new BuildError(Code.Unknown, `unknown attestation type ${JSON.stringify(type)}`);
      }
      const said = new Map([DEFAULTS[type]]);
      for (const field of value === '' ? [] : fieldsOf(type, value)) {
        const equals = field.indexOf('=');
        if (equals < 0) said.set(field, '');
        else said.set(field.slice(0, equals), field.slice(equals + 1));
      }
      requests.set(type, said);
    }
  }
  return requests;
}

function fieldsOf(type: AttestationType, value: string): string[] {
  try {
    return csvFields(value);
  } catch (error) {
    throw wrapError(error, `failed to parse ${type}`);
  }
}
