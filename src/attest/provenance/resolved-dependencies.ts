import { imagePurl } from '../purl.ts';
import type { GitMaterial, Sources } from './materials.ts';
import { commitDigest, digestSet } from './request.ts';
import type { DigestSet } from './request.ts';

export interface ResolvedDependency {
  readonly uri: string;
  readonly digest?: DigestSet;
}

const BUNDLE = /^([^:]+):\/\/(.+)@([^@]+:[^@]+)$/;

/** The repository, and the bundle that stood in for it. */
function gitDependencies({ url, commit, bundle }: GitMaterial): ResolvedDependency[] {
  const repository = { uri: url, digest: commitDigest(commit) };
  const found = bundle === undefined ? null : BUNDLE.exec(bundle);
  if (found === null) return [repository];
  const [, scheme, ref, digest] = found;
  const type = scheme === 'oci-layout+blob' ? 'oci' : 'docker';
  const uri = imagePurl(type, ref, undefined, { ref_type: 'bundle', vcs_url: url });
  return [repository, { uri, digest: digestSet(digest) }];
}

/** Everything that can be got again, as URIs with digests. Throws InvalidArgument for an image with an impossible name. */
export function materialsOf(sources: Sources): ResolvedDependency[] {
  const digestOf = (digest: string | undefined): Pick<ResolvedDependency, 'digest'> =>
    digest === undefined ? {} : { digest: digestSet(digest) };
  return [
    ...sources.images.map(({ ref, platform, digest, local }) => ({
      uri: imagePurl(local ? 'oci' : 'docker', ref, platform),
      ...digestOf(digest),
    })),
    ...sources.blobs.map(({ ref, digest, local }) => ({
      uri: imagePurl(local ? 'oci' : 'docker', ref, undefined, { ref_type: 'blob' }),
      ...digestOf(digest),
    })),
    ...sources.git.flatMap(gitDependencies),
    ...sources.http.map(({ url, digest }) => ({ uri: url, digest: digestSet(digest) })),
  ];
}
