/**
 * Copies of files and trees within the machine, with the rules of COPY (fsutil/copy): synchronous, for a worker thread. Both
 * trees belong to the caller alone while it runs.
 */
import { lstatSync, statSync } from 'node:fs';
import { posix } from 'node:path';
import { fromByteString, toByteString } from '../../archive/index.ts';
import { fsPath } from '../../archive/index.ts';
import type { ByteString } from '../../archive/index.ts';
import { invalidArgument } from '../../base/index.ts';
import { setMtime } from '../attributes.ts';
import { TreeFilter } from '../filter.ts';
import { pathError } from '../path-error.ts';
import { Copier } from './copier.ts';
import type { FolderNames } from './folder-names.ts';
import { LaterFiles } from './later-files.ts';
import { makeDirs, shown } from './make-dirs.ts';
import type { Owner } from './make-dirs.ts';
import { parseModeChange } from './mode-change.ts';
import type { ModeChange } from './mode-change.ts';
import { resolveSource, resolveTarget } from './resolve.ts';

export type { Owner } from './make-dirs.ts';

export interface CopyRequest {
  readonly sourceRoot: string;
  /** Absolute in `sourceRoot`; a byte string, for names that wildcards have found. */
  readonly source: ByteString;
  readonly targetRoot: string;
  /** Absolute in `targetRoot`; `/` or `/.` at its end says that it is a folder. */
  readonly target: ByteString;
  /** A folder's content goes to `target` itself. */
  readonly contentsOnly?: boolean;
  /** A link at the end of `source` is followed. */
  readonly followLinks?: boolean;
  readonly includePatterns?: readonly string[];
  readonly excludePatterns?: readonly string[];
  /** undefined: as in the source. */
  readonly owner?: Owner;
  /** What becomes of the ids of owners in the source, where `owner` names none; undefined: they stay. */
  readonly ownerId?: ((id: number) => number) | undefined;
  /** Unix bits for all that is copied; undefined: as in the source. */
  readonly mode?: number;
  /** A mode string as chmod(1) takes it; goes before `mode`. */
  readonly modeChange?: string;
  /** undefined: times as in the source. */
  readonly timestampNs?: bigint;
  /** What is in the way goes, whatever it is. */
  readonly replaceExisting?: boolean;
  /** Regular files are not copied but told, as LaterFiles has them: for whoever can put them there at less cost. */
  readonly filesLater?: boolean;
  /** Of a tree of Windows: how it spells its names. InvalidArgument when two that are copied are one to the target. */
  readonly sourceNames?: FolderNames | undefined;
  readonly targetNames?: FolderNames | undefined;
}

const DEFAULT_DIR_MODE = 0o755;

/** What becomes of modes. Throws InvalidArgument "invalid syntax". */
export function newModeOf({ mode, modeChange }: Pick<CopyRequest, 'mode' | 'modeChange'>): ModeChange | undefined {
  if (modeChange !== undefined) return parseModeChange(modeChange);
  return mode === undefined ? undefined : () => mode;
}

/** Gives what `filesLater` asked for. `check` is called often and throws when the copy is no longer wanted. Throws NotFound when there is no source. */
export function copyTree(request: CopyRequest, check: () => void = () => {}): Uint8Array | undefined {
  const { sourceRoot, targetRoot, owner, timestampNs, sourceNames, targetNames } = request;
  const filter = TreeFilter.of(request);
  const root = toByteString(targetRoot).replace(/\/+$/, '');
  const options = { mode: request.mode ?? DEFAULT_DIR_MODE, owner, timestampNs };
  const last = request.target.slice(request.target.lastIndexOf('/') + 1);
  const folder = last === '' || last === '.' ? request.target : request.target.slice(0, -last.length);
  const made = makeDirs(root, resolveTarget(targetRoot, folder, targetNames), options);

  const source = resolveSource(sourceRoot, request.source, request.followLinks === true, sourceNames);
  let isSourceDir: boolean;
  try {
    isSourceDir = lstatSync(fsPath(source)).isDirectory();
  } catch (error) {
    throw pathError(error, 'lstat', fromByteString(request.source));
  }
  let target = resolveTarget(targetRoot, request.target, targetNames);
  const there = statSync(fsPath(target), { throwIfNoEntry: false });
  if (there !== undefined && (isSourceDir ? request.contentsOnly !== true : there.isDirectory())) {
    const name = posix.basename(request.source.replace(/(?<=.)\/+$/, ''));
    target = posix.join(target, targetNames?.in(target, name) ?? name);
  }
  if (target.length <= root.length && !isSourceDir) throw invalidArgument('cannot replace to directory / with file');
  const mergesIntoNew = request.contentsOnly === true && isSourceDir && there === undefined;
  made.push(...makeDirs(root, mergesIntoNew ? target : posix.dirname(target), options));

  const later =
    request.filesLater === true ? new LaterFiles(toByteString(sourceRoot).replace(/\/+$/, ''), root) : undefined;
  const copier = new Copier({
    filter,
    owner,
    ownerId: request.ownerId,
    timestampNs,
    newMode: newModeOf(request),
    replaceExisting: request.replaceExisting === true,
    describe: (path) => (path.startsWith(root) ? shown(root, path) : shown(toByteString(sourceRoot), path)),
    check,
    later,
    names: targetNames,
    keepsRecords: sourceNames !== undefined && targetNames !== undefined,
  });
  copier.copy(source, target);
  if (timestampNs !== undefined) {
    for (const dir of made.toReversed()) {
      setMtime(dir, timestampNs);
      later?.add({ source, target: dir, names: [], times: { atimeNs: timestampNs, mtimeNs: timestampNs } });
    }
  }
  return later?.encoded();
}
