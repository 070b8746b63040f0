/** Finds the image that a build names as its frontend. */
import { BuildError, Code, invalidArgument } from '../../base/index.ts';
import { image } from '../../llb/index.ts';
import {
  formatReference,
  parseImageConfig,
  parseReference,
  referenceName,
  withDefaultTag,
  withDigest,
} from '../../oci/index.ts';
import type { ContainerConfig } from '../../oci/index.ts';
import type { Definition } from '../../proto/ops.pb.ts';
import { namedContext } from '../dockerfile/index.ts';
import type { GatewayClient } from '../types.ts';

export interface FrontendImage {
  readonly definition: Definition;
  readonly config: ContainerConfig;
  /** '' where it is not from a registry. */
  readonly digest: string;
}

function checkRepository(source: string, allowed: readonly string[]): void {
  if (allowed.length === 0) return;
  if (!allowed.includes(referenceName(parseReference(source)))) {
    throw new BuildError(Code.Unknown, `'${source}' is not an allowed gateway source`);
  }
}

/** `allowed` repositories, as `docker.io/docker/dockerfile`; none is all. A context of the client may stand for the image. */
export async function findFrontendImage(client: GatewayClient, allowed: readonly string[]): Promise<FrontendImage> {
  const { opts } = client.buildOpts();
  if (opts.has('gateway-devel')) throw new BuildError(Code.Unknown, 'development gateway is no longer supported');
  const source = opts.get('source');
  if (source === undefined) throw invalidArgument('no source specified for gateway');
  checkRepository(source, allowed);
  const context = await namedContext(client, source);
  if (context !== undefined) {
    return { definition: context.state.marshal(), config: context.image?.config ?? {}, digest: '' };
  }
  const wanted = formatReference(withDefaultTag(parseReference(source)));
  const resolved = await client.resolveImageConfig(wanted, {});
  const pinned = formatReference(withDigest(parseReference(resolved.ref), resolved.digest));
  return {
    definition: image(pinned, { recordType: 'frontend' }).marshal(),
    config: parseImageConfig(resolved.config).config ?? {},
    digest: resolved.digest,
  };
}
