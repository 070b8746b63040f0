/** What actions do to files, in a worker thread. Every path that a build gives is resolved below its root. */
import { lstatSync, renameSync, statSync, symlinkSync, writeFileSync, lchownSync, chmodSync, rmSync } from 'node:fs';
import { posix } from 'node:path';
import { fromByteString, fsPath, toByteString } from '../../archive/index.ts';
import { invalidArgument, notFound } from '../../base/index.ts';
import type { JobContext } from '../../base/index.ts';
import {
  copyTree,
  makeDir,
  makeDirs,
  newModeOf,
  pathError,
  removeTree,
  resolveSource,
  resolveTarget,
  resolveWildcards,
  setMtime,
} from '../../files/index.ts';
import type { GivenAttributes, Owner } from '../../files/index.ts';
import type {
  ChownOpt,
  FileAction,
  FileActionCopy,
  FileActionMkDir,
  FileActionMkFile,
  FileActionRm,
  FileActionSymlink,
} from '../../proto/ops.pb.ts';
import { cleanPath } from './clean-path.ts';
import { isArchive } from './is-archive.ts';
import { findOwner } from './owner.ts';

export interface ActionArgs {
  readonly action: NonNullable<FileAction['action']>;
  readonly owner: ChownOpt | undefined;
  /** Mounted trees: what is changed, what is copied from, where names of owners are looked up. */
  readonly target: string;
  readonly source: string | undefined;
  readonly userRoot: string | undefined;
  readonly groupRoot: string | undefined;
}

/** -1 says that there is none. */
function timestampOf(value: bigint): bigint | undefined {
  return value === -1n ? undefined : value;
}

export function ownerOf(args: Pick<ActionArgs, 'owner' | 'userRoot' | 'groupRoot'>): Owner | undefined {
  return findOwner(args.owner, { user: args.userRoot, group: args.groupRoot });
}

/** What a copy left for later: its regular files, where that was asked for. */
export interface Acted {
  readonly later: Uint8Array | undefined;
  readonly transfer: readonly ArrayBuffer[];
}

function acted(later: Uint8Array | undefined): Acted {
  return { later, transfer: later === undefined ? [] : [later.buffer as ArrayBuffer] };
}

export function act(args: ActionArgs & { readonly filesLater: boolean }, context: JobContext): Acted {
  const { action } = args;
  if (action.$case !== 'copy') {
    change(args);
    return acted(undefined);
  }
  const owner = ownerOf(args);
  requireParent(args.target, action.value);
  const sources = sourcesOf(sourceRoot(args), action.value);
  // Of several sources one may bring what another one has brought: they are copied one after the other.
  const filesLater = args.filesLater && sources.length === 1;
  let later: Uint8Array | undefined;
  for (const source of sources) later = copyFrom(args, action.value, { source, owner, filesLater }, context);
  return acted(later);
}

function change(args: ActionArgs): void {
  const { action } = args;
  switch (action.$case) {
    case 'mkdir':
      return mkdir(args.target, action.value, ownerOf(args));
    case 'mkfile':
      return mkfile(args.target, action.value, ownerOf(args));
    case 'symlink':
      return symlink(args.target, action.value, ownerOf(args));
    case 'rm':
      return rm(args.target, action.value);
  }
}

function mkdir(root: string, action: FileActionMkDir, owner: Owner | undefined): void {
  const path = resolveTarget(root, toByteString(action.path));
  const options = { mode: action.mode & 0o777, owner, timestampNs: timestampOf(action.timestamp) };
  if (action.makeParents) {
    makeDirs(toByteString(root).replace(/\/+$/, ''), path, options);
    return;
  }
  // What is there already stays as it is, whatever it is.
  if (lstatSync(fsPath(path), { throwIfNoEntry: false }) !== undefined) return;
  try {
    makeDir(path, options);
  } catch (error) {
    throw pathError(error, 'mkdir', posix.join('/', action.path));
  }
}

/** The new file takes the place of an old one in a single step, with the old one's mode and owner. */
function mkfile(root: string, action: FileActionMkFile, owner: Owner | undefined): void {
  const shown = posix.join('/', action.path);
  const path = resolveTarget(root, toByteString(action.path));
  const temporary = `${path}.tmp.${process.pid}.${Date.now()}`;
  try {
    const there = statSync(fsPath(path), { throwIfNoEntry: false });
    if (there !== undefined && !there.isFile()) throw there.isDirectory() ? { code: 'EISDIR' } : { code: 'EINVAL' };
    writeFileSync(fsPath(temporary), action.data, { flag: 'wx', mode: 0o600 });
    const keeps = owner ?? there;
    if (keeps !== undefined) lchownSync(fsPath(temporary), keeps.uid, keeps.gid);
    chmodSync(fsPath(temporary), there === undefined ? action.mode & 0o777 : there.mode & 0o7777);
    const timestamp = timestampOf(action.timestamp);
    if (timestamp !== undefined) setMtime(temporary, timestamp);
    renameSync(fsPath(temporary), fsPath(path));
  } catch (error) {
    rmSync(fsPath(temporary), { force: true });
    throw pathError(error, 'open', shown);
  }
}

function symlink(root: string, action: FileActionSymlink, owner: Owner | undefined): void {
  const path = resolveTarget(root, toByteString(action.newpath));
  try {
    symlinkSync(action.oldpath, fsPath(path));
    if (owner !== undefined) lchownSync(fsPath(path), owner.uid, owner.gid);
    const timestamp = timestampOf(action.timestamp);
    if (timestamp !== undefined) setMtime(path, timestamp);
  } catch (error) {
    throw pathError(error, `symlink ${action.oldpath}`, posix.join('/', action.newpath));
  }
}

function rm(root: string, action: FileActionRm): void {
  const paths = action.allowWildcard
    ? resolveWildcards(root, cleanPath(action.path), false)
    : [toByteString(posix.join('/', action.path))];
  for (const path of paths) removeOne(root, path, action.allowNotFound);
}

/** The last component is removed itself when it is a link, but must lead somewhere to count as being there. */
function removeOne(root: string, path: string, allowNotFound: boolean): void {
  const shown = fromByteString(path).replace(/(?<=.)\/+$/, '');
  if (shown === '/') throw invalidArgument('rmPath: invalid empty path');
  const found = resolveSource(root, path, false);
  if (!allowNotFound) {
    const there = lstatSync(fsPath(found), { throwIfNoEntry: false });
    const leads =
      there?.isSymbolicLink() === true
        ? lstatSync(fsPath(resolveTarget(root, path)), { throwIfNoEntry: false })
        : there;
    if (leads === undefined) throw notFound(`stat ${shown}: no such file or directory`);
  }
  try {
    removeTree(found);
  } catch (error) {
    throw pathError(error, 'remove', shown);
  }
}

/** Without createDestPath nothing above the destination is made. */
function requireParent(root: string, action: FileActionCopy): void {
  if (action.createDestPath) return;
  const path = resolveTarget(root, toByteString(action.dest));
  try {
    lstatSync(fsPath(posix.dirname(path)));
  } catch (error) {
    throw pathError(error, `failed to stat ${action.dest}: lstat`, posix.dirname(posix.join('/', action.dest)));
  }
}

/** The sources of a copy as byte strings. */
function sourcesOf(root: string, action: FileActionCopy): string[] {
  const source = cleanPath(action.src);
  if (!action.allowWildcard) return [toByteString(source)];
  const found = resolveWildcards(root, source, action.followSymlink);
  if (found.length === 0 && !action.allowEmptyWildcard) throw notFound(`${source} not found`);
  return found;
}

function requestedMode(action: FileActionCopy): { mode?: number; modeChange?: string } {
  // A mode string leaves the number at 0, which is then no mode.
  if (action.modeStr !== '') return { modeChange: action.modeStr };
  return action.mode === -1 ? {} : { mode: action.mode & 0o7777 };
}

export function givenAttributes(action: FileActionCopy, owner: Owner | undefined): GivenAttributes {
  return { owner, newMode: newModeOf(requestedMode(action)), timestampNs: timestampOf(action.timestamp) };
}

function copyFrom(
  args: ActionArgs,
  action: FileActionCopy,
  what: { readonly source: string; readonly owner: Owner | undefined; readonly filesLater: boolean },
  context: JobContext,
): Uint8Array | undefined {
  const timestampNs = timestampOf(action.timestamp);
  const { source, owner, filesLater } = what;
  return copyTree(
    {
      filesLater,
      sourceRoot: sourceRoot(args),
      source,
      targetRoot: args.target,
      target: toByteString(cleanPath(action.dest)),
      contentsOnly: action.dirCopyContents,
      followLinks: action.followSymlink,
      includePatterns: action.includePatterns,
      excludePatterns: action.excludePatterns,
      ...(owner === undefined ? {} : { owner }),
      ...requestedMode(action),
      ...(timestampNs === undefined ? {} : { timestampNs }),
      replaceExisting: action.alwaysReplaceExistingDestPaths,
    },
    context.check,
  );
}

/** A source of a copy that unpacks archives. */
export interface UnpackCandidate {
  /** Absolute in the source tree. */
  readonly path: string;
  /** The same as a byte string. */
  readonly bytes: string;
  readonly isArchive: boolean;
}

export function sourceRoot({ source }: Pick<ActionArgs, 'source'>): string {
  if (source === undefined) throw invalidArgument('a copy without a source');
  return source;
}

function copyAction(args: ActionArgs): FileActionCopy {
  if (args.action.$case !== 'copy') throw invalidArgument(`not a copy: ${args.action.$case}`);
  return args.action.value;
}

/** The sources and which of them are archives; first of the steps of such a copy. */
export async function findCandidates(
  args: ActionArgs,
): Promise<{ sources: UnpackCandidate[]; owner: Owner | undefined }> {
  const action = copyAction(args);
  const owner = ownerOf(args);
  requireParent(args.target, action);
  const sources: UnpackCandidate[] = [];
  for (const bytes of sourcesOf(sourceRoot(args), action)) {
    const file = resolveTarget(sourceRoot(args), bytes);
    const isFile = lstatSync(fsPath(file), { throwIfNoEntry: false })?.isFile() === true;
    sources.push({ path: fromByteString(bytes), bytes, isArchive: isFile && (await isArchive(fromByteString(file))) });
  }
  return { sources, owner };
}

/** Makes the folder that an archive is unpacked into. */
export function prepareUnpack(args: ActionArgs): void {
  const action = copyAction(args);
  const timestampNs = timestampOf(action.timestamp);
  const path = resolveTarget(args.target, toByteString(action.dest));
  makeDirs(toByteString(args.target).replace(/\/+$/, ''), path, { mode: 0o755, owner: ownerOf(args), timestampNs });
}

export function copyOne(
  args: ActionArgs & { readonly only: string; readonly filesLater: boolean },
  context: JobContext,
): Acted {
  const { only: source, filesLater } = args;
  return acted(copyFrom(args, copyAction(args), { source, owner: ownerOf(args), filesLater }, context));
}
