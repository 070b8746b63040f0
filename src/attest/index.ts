/**
 * Attestations as values: what a build is asked to attest, in-toto statements, SLSA provenance. In come facts that others
 * collected, out go JSON texts that agree with upstream's byte for byte. Deliberately absent: how the facts are found
 * (build/), where statements are written (exporters/).
 */
export { anyJson } from './any-json.ts';
export { parseAttestationRequests } from './options.ts';
export type { AttestationRequests, AttestationType } from './options.ts';
export { parseSbomOptions } from './sbom-options.ts';
export type { SbomOptions } from './sbom-options.ts';
export { imagePurl } from './purl.ts';
export { SpdxDocument } from './spdx.ts';
export {
  decodeStatement,
  digestMap,
  encodeStatement,
  isProvenance,
  SPDX_PREDICATE,
  STATEMENT_MEDIA_TYPE,
} from './statement.ts';
export type { Statement, Subject } from './statement.ts';
export { Capture } from './provenance/capture.ts';
export type { CapturedRequest } from './provenance/capture.ts';
export type * from './provenance/materials.ts';
export { parseProvenanceOptions } from './provenance/options.ts';
export type { ProvenanceOptions } from './provenance/options.ts';
export { encodePredicate, parseSlsaVersion, predicateType } from './provenance/predicate.ts';
export type { BuildDetails, ProvenanceFacts, SlsaVersion } from './provenance/predicate.ts';
export { describeRequest, requestArgs } from './provenance/request.ts';
export type { Parameters, ReadGitUrl, RequestFacts } from './provenance/request.ts';
