import { decompress } from '../../archive/index.ts';
import { serveJobs } from '../../base/index.ts';
import type { JobContext } from '../../base/index.ts';
import { readFile } from '../file-chunks.ts';
import { writeBlobFile } from './blob-file.ts';
import { layerTar } from './layer-tar.ts';
import { rewriteTimes } from './rewrite-times.ts';
import type { ConvertRequest, LayerRequest, WrittenLayer } from './types.ts';

function writeLayer(request: LayerRequest, context: JobContext): Promise<WrittenLayer> {
  return writeBlobFile(request.path, request.compression, layerTar(request), context);
}

function convertBlob(request: ConvertRequest, context: JobContext): Promise<WrittenLayer> {
  const tar = decompress(readFile(request.source));
  const { clampMtimeNs } = request;
  return writeBlobFile(
    request.path,
    request.compression,
    clampMtimeNs === undefined ? tar : rewriteTimes(tar, clampMtimeNs),
    context,
  );
}

serveJobs({ writeLayer, convertBlob });
