import { createHash } from 'node:crypto';
import { decompress, TarReader, toByteString } from '../../archive/index.ts';
import { BuildError, Code, serveJobs, wrapError } from '../../base/index.ts';
import type { JobContext } from '../../base/index.ts';
import type { Digest } from '../../oci/types.ts';
import { readFile } from '../file-chunks.ts';
import { packJob } from './pack.ts';
import { LayerSink } from './layer-sink.ts';
import type { AppliedLayer, ApplyRequest } from './types.ts';
import { unpackJob } from './unpack.ts';

const PROGRESS_MS = 200;

async function applyLayer(request: ApplyRequest, context: JobContext): Promise<AppliedLayer> {
  const { style, parents = [], limits = {} } = request;
  const layer = new LayerSink(request.system, request.isBase === true, {
    target: toByteString(request.target),
    whiteouts: style === 'overlay' && parents.length > 0 ? 'overlay' : 'delete',
    parents: style === 'overlay' ? parents : [],
    older: style === 'plain',
    userxattr: request.userxattr ?? false,
    owner: request.noSameOwner === true ? 'own' : 'keep',
    bestEffortXattrs: false,
  });
  const reader = new TarReader(layer, limits);
  const hash = createHash('sha256');
  let bytes = 0;
  let reported = Date.now();
  try {
    const ratio = limits.maxRatio === undefined ? {} : { maxRatio: limits.maxRatio };
    for await (const chunk of decompress(readFile(request.source), ratio)) {
      context.check();
      hash.update(chunk);
      reader.write(chunk);
      bytes += chunk.length;
      const now = Date.now();
      if (now - reported < PROGRESS_MS) continue;
      reported = now;
      context.emit(bytes);
    }
    reader.end();
    layer.finish();
  } catch (error) {
    context.check();
    throw wrapError(error, 'failed to extract layer');
  } finally {
    layer.close();
  }
  const diffId = `sha256:${hash.digest('hex')}` as Digest;
  if (request.diffId !== undefined && request.diffId !== diffId)
    throw new BuildError(Code.FailedPrecondition, `wrong diff id calculated on extraction "${diffId}"`);
  return { system: layer.system, size: layer.size, diffId, entries: layer.entries };
}

serveJobs({ applyLayer, unpack: unpackJob, pack: packJob });
