/** The second half of a copy: regular files, put straight into the directory that takes the target's writes. */
import { lstatSync } from 'node:fs';
import { fromByteString, fsPath, toByteString } from '../../archive/index.ts';
import type { ByteString } from '../../archive/index.ts';
import { invalidArgument } from '../../base/index.ts';
import type { JobContext } from '../../base/index.ts';
import { decodeLaterFiles, FilePlacer, pathError, setTimes } from '../../files/index.ts';
import type { LaterFolder, PlacedFile } from '../../files/index.ts';
import { LayerTree } from '../../storage/tree/index.ts';
import type { TreeFolder } from '../../storage/tree/index.ts';
import type { CopyDirs } from '../../storage/types.ts';
import { givenAttributes, ownerOf, sourceRoot } from './action-job.ts';
import type { ActionArgs } from './action-job.ts';

export interface PlaceArgs extends Omit<ActionArgs, 'target'> {
  /** See LaterFiles. */
  readonly files: Uint8Array;
  readonly dirs: CopyDirs;
}

/** Where a folder's files really are. */
class SourceFolder {
  readonly #tree: LayerTree;
  readonly #folder: TreeFolder | undefined;
  /** As the mount shows it: for what the layers do not. */
  readonly #mounted: ByteString;

  constructor(args: PlaceArgs, tree: LayerTree, path: ByteString) {
    this.#tree = tree;
    this.#folder = tree.lookup(path)?.folder;
    this.#mounted = `${toByteString(sourceRoot(args))}/${path}`;
  }

  find(name: ByteString): PlacedFile {
    const entry = this.#folder === undefined ? undefined : this.#tree.find(this.#folder, name);
    if (entry?.stat.isFile() === true) return { real: entry.real, stats: entry.stat };
    const real = `${this.#mounted}/${name}`;
    return { real, stats: lstatSync(fsPath(real), { bigint: true }) };
  }
}

export function place(args: PlaceArgs, context: JobContext): void {
  const { action, dirs } = args;
  if (action.$case !== 'copy') throw invalidArgument(`not a copy: ${action.$case}`);
  const tree = new LayerTree(dirs.layers);
  const given = givenAttributes(action.value, ownerOf(args), args);
  const placer = new FilePlacer({ ...given, check: context.check });
  for (const folder of decodeLaterFiles(args.files)) placeFolder(folder, new SourceFolder(args, tree, folder.source));

  function placeFolder({ source, target, names, times }: LaterFolder, from: SourceFolder): void {
    const full = `${toByteString(dirs.target)}/${target}`;
    for (const { from: name, to } of names) {
      try {
        placer.place(from.find(name), `${full}/${to}`);
      } catch (error) {
        throw pathError(error, 'copy', fromByteString(`/${source === '' ? '' : `${source}/`}${name}`));
      }
    }
    if (times !== undefined) setTimes(fsPath(full), times.atimeNs, times.mtimeNs);
  }
}
