/**
 * OpenPGP signatures (RFC 4880 and 9580, version 4): in come armored keys, an armored signature and the signed bytes, out goes
 * nothing, or an error that says why the signature does not hold. Deliberately absent: making signatures, encryption, trust in keys.
 */
export { verifyDetached } from './verify.ts';
export type { DetachedSignature } from './verify.ts';
