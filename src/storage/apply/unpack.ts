/** Archives of a build's files, as ADD unpacks them (upstream: solver/llbsolver/file/unpack.go with moby/go-archive). */
import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import { decompress, fsPath, TarReader, toByteString } from '../../archive/index.ts';
import type { ByteString } from '../../archive/index.ts';
import { Code, notFound, toBuildError } from '../../base/index.ts';
import type { JobContext } from '../../base/index.ts';
import { fileChunks } from '../file-chunks.ts';
import { LayerTree } from '../tree/index.ts';
import { TreeApplier } from './tree-applier.ts';
import type { UnpackRequest } from './types.ts';

class Found extends Error {}

/** Does it begin with the header of an entry, once decompressed? Whatever is wrong with it, it is then a plain file. */
async function beginsAsTar(path: ByteString, context: JobContext): Promise<boolean> {
  const found = (): never => {
    throw new Found();
  };
  const reader = new TarReader({ entry: found, data: found, entryEnd: found });
  try {
    await readArchive(path, context, (chunk) => reader.write(chunk));
  } catch (error) {
    context.check();
    if (error instanceof Found) return true;
    const { code } = toBuildError(error);
    if (code === Code.ResourceExhausted || code === Code.Internal) throw error;
  }
  return false;
}

async function readArchive(path: ByteString, context: JobContext, take: (chunk: Uint8Array) => void): Promise<void> {
  const fd = openSync(fsPath(path), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    for await (const chunk of decompress(fileChunks(fd))) {
      context.check();
      take(chunk);
    }
  } finally {
    closeSync(fd);
  }
}

function isRegular(path: ByteString): boolean {
  const fd = openSync(fsPath(path), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    return fstatSync(fd).isFile();
  } finally {
    closeSync(fd);
  }
}

export async function unpackJob(request: UnpackRequest, context: JobContext): Promise<boolean> {
  const source = new LayerTree([request.sourceRoot]).resolve(toByteString(request.source), true).entry;
  if (source?.stat.isFile() !== true || !isRegular(source.real)) return false;
  if (!(await beginsAsTar(source.real, context))) return false;
  const target = new LayerTree([request.targetRoot]).resolve(toByteString(request.target), true).entry;
  if (target?.folder === undefined) throw notFound(`${request.target}: no such directory`);
  const applier = new TreeApplier({
    target: target.real,
    whiteouts: 'literal',
    parents: [],
    older: true,
    userxattr: false,
    owner: request.owner ?? 'keep',
    bestEffortXattrs: true,
  });
  const reader = new TarReader(applier, request.limits);
  try {
    await readArchive(source.real, context, (chunk) => {
      reader.write(chunk);
      if (reader.entries % 64 === 0) context.emit(applier.size);
    });
    reader.end();
    applier.finish();
  } finally {
    applier.close();
  }
  return true;
}
