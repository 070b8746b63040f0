/** What actions do to files, in a worker thread. Every path that a build gives is resolved below its root. */
import { lstatSync, renameSync, statSync, symlinkSync, writeFileSync, lchownSync, chmodSync, rmSync } from 'node:fs';
import { posix } from 'node:path';
import { fromByteString, fsPath, toByteString } from '../../archive/index.ts';
import { invalidArgument, notFound } from '../../base/index.ts';
import type { JobContext } from '../../base/index.ts';
import {
  copyTree,
  FolderNames,
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
import { accountOfId, systemOf } from '../../systems/index.ts';
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
  /** The system that the files are for: whose owners there are. */
  readonly os: string;
  /** The trees are of Windows: names that differ by case alone are one. */
  readonly foldsTarget: boolean;
  readonly foldsSource: boolean;
}

/** How the trees of an action spell their names, as long as it runs; undefined for one that is not of Windows. */
interface Spelling {
  readonly target: FolderNames | undefined;
  readonly source: FolderNames | undefined;
}

function spellingOf({ foldsTarget, foldsSource }: Pick<ActionArgs, 'foldsTarget' | 'foldsSource'>): Spelling {
  return {
    target: foldsTarget ? new FolderNames() : undefined,
    source: foldsSource ? new FolderNames() : undefined,
  };
}

/** -1 says that there is none. */
function timestampOf(value: bigint): bigint | undefined {
  return value === -1n ? undefined : value;
}

export function ownerOf(args: Pick<ActionArgs, 'owner' | 'userRoot' | 'groupRoot' | 'os'>): Owner | undefined {
  return findOwner(args.owner, { user: args.userRoot, group: args.groupRoot }, systemOf(args.os).users);
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
  const spelling = spellingOf(args);
  requireParent(args.target, action.value, spelling.target);
  const sources = sourcesOf(sourceRoot(args), action.value, spelling.source);
  // Of several sources one may bring what another one has brought: they are copied one after the other.
  const filesLater = args.filesLater && sources.length === 1;
  let later: Uint8Array | undefined;
  for (const source of sources) later = copyFrom(args, action.value, { source, owner, filesLater, spelling }, context);
  return acted(later);
}

function change(args: ActionArgs): void {
  const { action } = args;
  const tree: Tree = { root: args.target, names: spellingOf(args).target };
  switch (action.$case) {
    case 'mkdir':
      return mkdir(tree, action.value, ownerOf(args));
    case 'mkfile':
      return mkfile(tree, action.value, ownerOf(args));
    case 'symlink':
      return symlink(tree, action.value, ownerOf(args));
    case 'rm':
      return rm(tree, action.value);
  }
}

/** What an action changes. */
interface Tree {
  readonly root: string;
  readonly names: FolderNames | undefined;
}

function mkdir({ root, names }: Tree, action: FileActionMkDir, owner: Owner | undefined): void {
  const path = resolveTarget(root, toByteString(action.path), names);
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
function mkfile({ root, names }: Tree, action: FileActionMkFile, owner: Owner | undefined): void {
  const shown = posix.join('/', action.path);
  const path = resolveTarget(root, toByteString(action.path), names);
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

function symlink({ root, names }: Tree, action: FileActionSymlink, owner: Owner | undefined): void {
  const path = resolveTarget(root, toByteString(action.newpath), names);
  try {
    symlinkSync(action.oldpath, fsPath(path));
    if (owner !== undefined) lchownSync(fsPath(path), owner.uid, owner.gid);
    const timestamp = timestampOf(action.timestamp);
    if (timestamp !== undefined) setMtime(path, timestamp);
  } catch (error) {
    throw pathError(error, `symlink ${action.oldpath}`, posix.join('/', action.newpath));
  }
}

function rm(tree: Tree, action: FileActionRm): void {
  const paths = action.allowWildcard
    ? resolveWildcards(tree.root, cleanPath(action.path), false, tree.names)
    : [toByteString(posix.join('/', action.path))];
  for (const path of paths) removeOne(tree, path, action.allowNotFound);
}

/** The last component is removed itself when it is a link, but must lead somewhere to count as being there. */
function removeOne({ root, names }: Tree, path: string, allowNotFound: boolean): void {
  const shown = fromByteString(path).replace(/(?<=.)\/+$/, '');
  if (shown === '/') throw invalidArgument('rmPath: invalid empty path');
  const found = resolveSource(root, path, false, names);
  if (!allowNotFound) {
    const there = lstatSync(fsPath(found), { throwIfNoEntry: false });
    const leads =
      there?.isSymbolicLink() === true
        ? lstatSync(fsPath(resolveTarget(root, path, names)), { throwIfNoEntry: false })
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
function requireParent(root: string, action: FileActionCopy, names: FolderNames | undefined): void {
  if (action.createDestPath) return;
  const path = resolveTarget(root, toByteString(action.dest), names);
  try {
    lstatSync(fsPath(posix.dirname(path)));
  } catch (error) {
    throw pathError(error, `failed to stat ${action.dest}: lstat`, posix.dirname(posix.join('/', action.dest)));
  }
}

/** The sources of a copy as byte strings. */
function sourcesOf(root: string, action: FileActionCopy, names: FolderNames | undefined): string[] {
  const source = cleanPath(action.src);
  if (!action.allowWildcard) return [toByteString(source)];
  const found = resolveWildcards(root, source, action.followSymlink, names);
  if (found.length === 0 && !action.allowEmptyWildcard) throw notFound(`${source} not found`);
  return found;
}

function requestedMode(action: FileActionCopy): { mode?: number; modeChange?: string } {
  // A mode string leaves the number at 0, which is then no mode.
  if (action.modeStr !== '') return { modeChange: action.modeStr };
  return action.mode === -1 ? {} : { mode: action.mode & 0o7777 };
}

/** An account of Windows is one in trees of Windows alone: elsewhere its id would be that of a stranger. */
function ownerIdFor({
  foldsTarget,
  foldsSource,
}: Pick<ActionArgs, 'foldsTarget' | 'foldsSource'>): GivenAttributes['ownerId'] {
  if (foldsTarget === foldsSource) return undefined;
  return (id) => (accountOfId(id) === undefined ? id : 0);
}

export function givenAttributes(
  action: FileActionCopy,
  owner: Owner | undefined,
  { foldsTarget, foldsSource }: Pick<ActionArgs, 'foldsTarget' | 'foldsSource'>,
): GivenAttributes {
  return {
    owner,
    ownerId: ownerIdFor({ foldsTarget, foldsSource }),
    newMode: newModeOf(requestedMode(action)),
    timestampNs: timestampOf(action.timestamp),
    keepsRecords: foldsTarget && foldsSource,
  };
}

function copyFrom(
  args: ActionArgs,
  action: FileActionCopy,
  what: {
    readonly source: string;
    readonly owner: Owner | undefined;
    readonly filesLater: boolean;
    readonly spelling: Spelling;
  },
  context: JobContext,
): Uint8Array | undefined {
  const timestampNs = timestampOf(action.timestamp);
  const { source, owner, filesLater, spelling } = what;
  return copyTree(
    {
      filesLater,
      sourceNames: spelling.source,
      targetNames: spelling.target,
      sourceRoot: sourceRoot(args),
      source,
      targetRoot: args.target,
      target: toByteString(cleanPath(action.dest)),
      contentsOnly: action.dirCopyContents,
      followLinks: action.followSymlink,
      includePatterns: action.includePatterns,
      excludePatterns: action.excludePatterns,
      ...(owner === undefined ? {} : { owner }),
      ownerId: ownerIdFor(args),
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
  const spelling = spellingOf(args);
  requireParent(args.target, action, spelling.target);
  const sources: UnpackCandidate[] = [];
  for (const bytes of sourcesOf(sourceRoot(args), action, spelling.source)) {
    const file = resolveTarget(sourceRoot(args), bytes, spelling.source);
    const isFile = lstatSync(fsPath(file), { throwIfNoEntry: false })?.isFile() === true;
    sources.push({ path: fromByteString(bytes), bytes, isArchive: isFile && (await isArchive(fromByteString(file))) });
  }
  return { sources, owner };
}

/** Makes the folder that an archive is unpacked into. */
export function prepareUnpack(args: ActionArgs): void {
  const action = copyAction(args);
  const timestampNs = timestampOf(action.timestamp);
  const path = resolveTarget(args.target, toByteString(action.dest), spellingOf(args).target);
  makeDirs(toByteString(args.target).replace(/\/+$/, ''), path, { mode: 0o755, owner: ownerOf(args), timestampNs });
}

export function copyOne(
  args: ActionArgs & { readonly only: string; readonly filesLater: boolean },
  context: JobContext,
): Acted {
  const { only: source, filesLater } = args;
  const what = { source, owner: ownerOf(args), filesLater, spelling: spellingOf(args) };
  return acted(copyFrom(args, copyAction(args), what, context));
}
