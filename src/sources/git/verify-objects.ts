/** A commit, or the tag that names it, has to be signed by a given key. */
import { BuildError, Code, wrapError } from '../../base/index.ts';
import { verifyDetached } from '../../openpgp/index.ts';
import type { SignaturePolicy } from './attrs.ts';
import { checkObjectId, parseGitObject } from './git-object.ts';
import type { GitObject } from './git-object.ts';
import type { GitObjects } from './objects.ts';
import { verifySshSignature } from './ssh-signature.ts';

function parse(kind: 'commit' | 'tag', raw: Uint8Array, id: string): GitObject {
  let object: GitObject;
  try {
    object = parseGitObject(raw);
  } catch (error) {
    throw wrapError(error, `failed to parse git ${kind} object`);
  }
  try {
    checkObjectId(object, id);
  } catch (error) {
    throw wrapError(error, `${kind} object checksum verification failed`);
  }
  return object;
}

async function verifyObject({ signature, signedData }: GitObject, policy: SignaturePolicy): Promise<void> {
  if (signature === '') throw new BuildError(Code.Unknown, 'git object is not signed');
  if (signature.startsWith('-----BEGIN SSH SIGNATURE-----')) {
    verifySshSignature(signedData, signature, policy.pubKey);
  } else if (signature.startsWith('-----BEGIN PGP SIGNATURE-----')) {
    const { pubKey: keys, rejectExpired: rejectExpiredKeys } = policy;
    await verifyDetached({ signed: [signedData], signature, keys, rejectExpiredKeys });
  } else throw new BuildError(Code.Unknown, 'invalid signature format');
}

/** A signed tag suffices, unless the policy looks at commits alone; without one the commit counts, unless a tag is required. */
export async function verifySignature(objects: GitObjects, policy: SignaturePolicy): Promise<void> {
  const { tag } = objects;
  let refusal: unknown = new BuildError(Code.Unknown, 'signed tag required but no signed tag found');
  if (tag !== undefined && !policy.ignoreSignedTag) {
    const object = parse('tag', tag.object, tag.checksum);
    try {
      await verifyObject(object, policy);
      return;
    } catch (error) {
      refusal = error;
    }
  }
  if (policy.requireSignedTag) throw refusal;
  await verifyObject(parse('commit', objects.commit, objects.commitChecksum), policy);
}
