import type { Platform } from '../oci/index.ts';

/** As upstream's JSON has it (image-spec's Platform). */
export function platformJson(p: Platform): Record<string, string | readonly string[] | undefined> {
  return {
    architecture: p.architecture,
    os: p.os,
    'os.version': p.osVersion,
    'os.features': p.osFeatures,
    variant: p.variant,
  };
}
