import type { Descriptor } from '../oci/types.ts';
import { encodeGoJson } from './go-json.ts';
import type { WrittenImage } from './image-writer.ts';
import { descriptorJson } from './manifest-json.ts';

/** Entries of the Solve response (exporter/containerimage/exptypes upstream). */
export function imageResponse(image: WrittenImage, descriptor: Descriptor, names: string): Map<string, string> {
  const json = encodeGoJson(descriptorJson(descriptor));
  return new Map([
    ...(names === '' ? [] : ([['image.name', names]] as const)),
    ['containerimage.digest', descriptor.digest],
    ...(image.configDigest === undefined ? [] : ([['containerimage.config.digest', image.configDigest]] as const)),
    ['containerimage.descriptor', Buffer.from(json).toString('base64')],
  ]);
}
