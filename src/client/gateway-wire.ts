/** Gateway values to and from their messages (frontend/gateway/pb upstream). */
import { internal } from '../base/index.ts';
import type { SourceMeta } from '../llb/index.ts';
import type { Digest, Platform } from '../oci/types.ts';
import type { ResolveSourceMetaResponse } from '../proto/gateway.pb.ts';
import type { Platform as WirePlatform } from '../proto/ops.pb.ts';

export function platformToWire(p: Platform): WirePlatform {
  return {
    OS: p.os,
    Architecture: p.architecture,
    Variant: p.variant ?? '',
    OSVersion: p.osVersion ?? '',
    OSFeatures: [...(p.osFeatures ?? [])],
  };
}

export function platformFromWire(p: WirePlatform): Platform {
  return {
    os: p.OS,
    architecture: p.Architecture,
    ...(p.Variant === '' ? {} : { variant: p.Variant }),
    ...(p.OSVersion === '' ? {} : { osVersion: p.OSVersion }),
    ...(p.OSFeatures.length === 0 ? {} : { osFeatures: p.OSFeatures }),
  };
}

export function sourceMetaFromWire(r: ResolveSourceMetaResponse): SourceMeta {
  if (r.Source === undefined) throw internal('the daemon resolved no source');
  const { Image: image, Git: git, HTTP: http } = r;
  return {
    identifier: r.Source.identifier,
    attrs: r.Source.attrs,
    ...(image === undefined
      ? {}
      : { image: { digest: image.Digest as Digest, ...(image.Config.length > 0 ? { config: image.Config } : {}) } }),
    ...(git === undefined
      ? {}
      : {
          git: {
            checksum: git.Checksum,
            ref: git.Ref,
            commitChecksum: git.CommitChecksum,
            commitObject: git.CommitObject,
            tagObject: git.TagObject,
          },
        }),
    ...(http === undefined
      ? {}
      : {
          http: {
            checksum: http.Checksum as Digest,
            filename: http.Filename,
            ...(http.LastModified === undefined
              ? {}
              : { lastModified: http.LastModified.seconds * 1_000_000_000n + BigInt(http.LastModified.nanos) }),
          },
        }),
  };
}
