/** Archives of a build's files, as ADD unpacks them (upstream: solver/llbsolver/file/unpack.go with moby/go-archive). */
import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import { decompress, fsPath, TarReader, TarType, toByteString } from '../../archive/index.ts';
import type { ByteString, TarHeader, TarSink } from '../../archive/index.ts';
import type { TreeSpelling } from '../../archive/windows/index.ts';
import { Code, notFound, toBuildError } from '../../base/index.ts';
import type { JobContext } from '../../base/index.ts';
import { fileChunks } from '../file-chunks.ts';
import { LayerTree, spellingOf } from '../tree/index.ts';
import type { TreeEntry } from '../tree/index.ts';
import { cleanName } from './target-paths.ts';
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

async function readArchive(
  path: ByteString,
  context: JobContext,
  take: (chunk: Uint8Array) => void,
  maxRatio?: number,
): Promise<void> {
  const fd = openSync(fsPath(path), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    for await (const chunk of decompress(fileChunks(fd), maxRatio === undefined ? {} : { maxRatio })) {
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

function find(root: string, path: string, foldsCase: boolean): TreeEntry | undefined {
  const tree = new LayerTree([root]);
  return tree.resolve(toByteString(path), true, foldsCase ? spellingOf(tree) : undefined).entry;
}

/** Files of an archive by the names that a tree of Windows has for them. */
class RespelledTree implements TarSink {
  readonly #applier: TreeApplier;
  readonly #spelling: TreeSpelling;

  constructor(applier: TreeApplier, target: ByteString) {
    this.#applier = applier;
    this.#spelling = spellingOf(new LayerTree([Buffer.from(target, 'latin1').toString('utf8')]));
  }

  entry(header: TarHeader): void {
    const name = this.#spelling.of(cleanName(header.name));
    const linkname = header.type === TarType.Link ? this.#spelling.of(cleanName(header.linkname)) : header.linkname;
    this.#applier.entry({ ...header, name, linkname });
    this.#spelling.add(name);
  }

  data(bytes: Uint8Array, offset: number): void {
    this.#applier.data(bytes, offset);
  }

  entryEnd(): void {
    this.#applier.entryEnd();
  }
}

export async function unpackJob(request: UnpackRequest, context: JobContext): Promise<boolean> {
  const source = find(request.sourceRoot, request.source, request.foldsSource === true);
  if (source?.stat.isFile() !== true || !isRegular(source.real)) return false;
  if (!(await beginsAsTar(source.real, context))) return false;
  const target = find(request.targetRoot, request.target, request.foldsTarget === true);
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
  const sink = request.foldsTarget === true ? new RespelledTree(applier, target.real) : applier;
  const reader = new TarReader(sink, request.limits);
  try {
    const take = (chunk: Uint8Array): void => {
      reader.write(chunk);
      if (reader.entries % 64 === 0) context.emit(applier.size);
    };
    await readArchive(source.real, context, take, request.limits?.maxRatio);
    reader.end();
    applier.finish();
  } finally {
    applier.close();
  }
  return true;
}
