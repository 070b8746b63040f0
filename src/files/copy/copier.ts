import {
  chmodSync,
  closeSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readlinkSync,
  symlinkSync,
  unlinkSync,
} from 'node:fs';
import type { BigIntStats, Dirent } from 'node:fs';
import { fsPath } from '../../archive/index.ts';
import type { ByteString } from '../../archive/index.ts';
import { foldName } from '../../archive/windows/index.ts';
import { invalidArgument, nowNs } from '../../base/index.ts';
import { setTimes } from '../../host/index.ts';
import { copyNode, setTimesOf } from '../attributes.ts';
import type { TreeFilter, Verdict } from '../filter.ts';
import { pathError } from '../path-error.ts';
import { baseOf, joinPath, parentOf } from '../path-order.ts';
import { removeTree } from '../remove-tree.ts';
import { copyFile } from './copy-file.ts';
import type { FolderNames } from './folder-names.ts';
import { giveAttributes } from './given-attributes.ts';
import type { GivenAttributes } from './given-attributes.ts';
import type { LaterFiles } from './later-files.ts';

export interface CopierOptions extends GivenAttributes {
  readonly filter: TreeFilter | undefined;
  readonly replaceExisting: boolean;
  /** A path as the build knows it. */
  readonly describe: (path: ByteString) => string;
  readonly check: () => void;
  /** Takes regular files instead of their being copied now. Nothing may then be copied twice to one place. */
  readonly later: LaterFiles | undefined;
  /** How a target of Windows spells its names. */
  readonly names: FolderNames | undefined;
}

/** A source folder that is being read; it is made at the target once something in it is copied. */
interface OpenDir {
  readonly source: ByteString;
  readonly target: ByteString;
  readonly stats: BigIntStats;
  /** It is at the target, and whether that is our doing. */
  isMade: boolean;
  isNew: boolean;
  /** What is to be copied later. */
  readonly later: Array<{ readonly from: ByteString; readonly to: ByteString }>;
  /** What was copied into it, by names as Windows compares them. */
  claimed?: Map<string, ByteString>;
}

/** One copy call: hard links within it stay hard links. Nothing follows a link; folders at the target must be folders. */
export class Copier {
  readonly #options: CopierOptions;
  readonly #inodes = new Map<string, ByteString>();
  readonly #open: OpenDir[] = [];

  constructor(options: CopierOptions) {
    this.#options = options;
  }

  /** The top of the copy: an existing folder at `target` keeps its owner and mode. */
  copy(source: ByteString, target: ByteString): void {
    this.#copy(source, target, '', undefined);
  }

  /** `isFile`: the folder says that it is a regular one. */
  #copy(
    source: ByteString,
    target: ByteString,
    path: ByteString,
    parent: Verdict | undefined,
    isFile: boolean = false,
  ): void {
    const { filter, describe, check } = this.#options;
    check();
    const verdict = path === '' ? undefined : filter?.judge(path, parent);
    const emit = verdict?.emit !== false;
    if (!emit && verdict?.descend === false) return;
    const dir = this.#open.at(-1);
    if (isFile && dir !== undefined && this.#options.later !== undefined) {
      if (emit) this.#putOff(dir, source, target);
      return;
    }
    const stats = lstatSync(fsPath(source), { bigint: true });
    if (!emit && !stats.isDirectory()) return;
    try {
      if (stats.isDirectory())
        this.#copyDir({ source, target, stats, isMade: false, isNew: false, later: [] }, path, verdict, emit);
      else if (stats.isFile() && this.#options.later !== undefined) this.#putOff(this.#open.at(-1), source, target);
      else {
        this.#makeOpen();
        this.#clear(target, false);
        this.#claim(this.#open.at(-1), source, target);
        this.#copyEntry(source, target, stats);
        this.#attributes(source, target, stats);
      }
    } catch (error) {
      throw pathError(error, 'copy', describe(source));
    }
  }

  #copyDir(dir: OpenDir, path: ByteString, verdict: Verdict | undefined, emit: boolean): void {
    const { describe, timestampNs } = this.#options;
    const isTop = path === '';
    if (emit) {
      this.#makeOpen();
      this.#makeDir(dir, this.#open.at(-1));
    }
    if (verdict?.descend !== false) {
      this.#open.push(dir);
      let entries: Dirent[];
      try {
        entries = readdirSync(fsPath(dir.source), { encoding: 'latin1', withFileTypes: true });
      } catch (error) {
        throw pathError(error, 'failed to read', describe(dir.source));
      }
      entries.sort((a, b) => (a.name < b.name ? -1 : 1));
      for (const entry of entries) {
        const { name } = entry;
        const target = `${dir.target}/${this.#options.names?.in(dir.target, name) ?? name}`;
        this.#copy(`${dir.source}/${name}`, target, joinPath(path, name), verdict, entry.isFile());
      }
      this.#open.pop();
    }
    // The times of a folder come last: what was put into it has changed them.
    if (dir.isNew || (emit && !isTop)) this.#attributes(dir.source, dir.target, dir.stats);
    else if (emit) setTimesOf(dir.target, dir.stats, timestampNs);
    if (dir.later.length === 0) return;
    const { atimeNs, mtimeNs } = dir.stats;
    const times = { atimeNs: timestampNs ?? atimeNs, mtimeNs: timestampNs ?? mtimeNs };
    this.#options.later?.add({
      source: dir.source,
      target: dir.target,
      names: dir.later,
      times: dir.isNew || emit ? times : undefined,
    });
  }

  /** Makes room for the file. `dir` is undefined where the file is all that is copied. */
  #putOff(dir: OpenDir | undefined, source: ByteString, target: ByteString): void {
    const { describe, later } = this.#options;
    try {
      this.#makeOpen();
      if (dir?.isNew === true) {
        const name = baseOf(source);
        this.#claim(dir, source, target);
        dir.later.push({ from: name, to: baseOf(target) });
        return;
      }
      this.#clear(target, false);
      if (dir !== undefined) this.#claim(dir, source, target);
      // So that the folder is among what was written to the target, whatever layer it came from.
      setTimes(fsPath(parentOf(target)), undefined, nowNs());
      const name = { from: baseOf(source), to: baseOf(target) };
      if (dir === undefined)
        later?.add({ source: parentOf(source), target: parentOf(target), names: [name], times: undefined });
      else dir.later.push(name);
    } catch (error) {
      throw pathError(error, 'copy', describe(source));
    }
  }

  /** To Windows, two names of the source may be one: which of them the target should have, nobody said. */
  #claim(dir: OpenDir | undefined, source: ByteString, target: ByteString): void {
    const { names, describe } = this.#options;
    if (names === undefined) return;
    const name = baseOf(target);
    names.made(parentOf(target), name);
    if (dir === undefined) return;
    dir.claimed ??= new Map();
    const folded = foldName(name);
    const other = dir.claimed.get(folded);
    if (other !== undefined)
      throw invalidArgument(`cannot copy both ${describe(other)} and ${describe(source)}: Windows takes them for one`);
    dir.claimed.set(folded, source);
  }

  #makeDir(dir: OpenDir, above: OpenDir | undefined): void {
    dir.isMade = true;
    this.#claim(above, dir.source, dir.target);
    if (this.#clear(dir.target, true)) return;
    mkdirSync(fsPath(dir.target), 0o700);
    dir.isNew = true;
  }

  /** The folders above, which no pattern has asked for but something in them. */
  #makeOpen(): void {
    for (const [i, dir] of this.#open.entries()) {
      if (dir.isMade) continue;
      this.#makeDir(dir, this.#open[i - 1]);
      // One that was there takes the mode alone, as upstream has it.
      if (!dir.isNew) chmodSync(fsPath(dir.target), Number(dir.stats.mode) & 0o7777);
    }
  }

  /** Makes room at `target`; true: a folder is there that a folder can be merged into. */
  #clear(target: ByteString, forDir: boolean): boolean {
    const { replaceExisting, describe } = this.#options;
    const there = lstatSync(fsPath(target), { throwIfNoEntry: false });
    if (there === undefined) return false;
    if (there.isDirectory()) {
      if (forDir) return true;
      if (!replaceExisting) throw invalidArgument(`cannot replace to directory ${describe(target)} with file`);
      removeTree(target);
    } else {
      if (forDir && !replaceExisting) throw invalidArgument(`cannot copy to non-directory: ${describe(target)}`);
      unlinkSync(fsPath(target));
    }
    return false;
  }

  #copyEntry(source: ByteString, target: ByteString, stats: BigIntStats): void {
    if (stats.isFile()) {
      const inode = `${stats.dev}:${stats.ino}`;
      const first = stats.nlink > 1n ? this.#inodes.get(inode) : undefined;
      if (first !== undefined) {
        linkSync(fsPath(first), fsPath(target));
        return;
      }
      if (stats.nlink > 1n) this.#inodes.set(inode, target);
      copyFile(source, target, this.#options.check);
    } else if (stats.isSymbolicLink()) {
      symlinkSync(readlinkSync(fsPath(source), { encoding: 'buffer' }), fsPath(target));
    } else if (stats.isSocket()) {
      // Nobody listens at a copy of a socket: an empty file stands for it.
      closeSync(openSync(fsPath(target), 'wx', 0o600));
    } else copyNode(target, stats);
  }

  #attributes(source: ByteString, target: ByteString, stats: BigIntStats): void {
    giveAttributes(source, target, stats, this.#options);
  }
}
