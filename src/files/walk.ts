/** A tree in the order of a listing, filtered by patterns. */
import { lstatSync, readdirSync } from 'node:fs';
import { fromByteString, fsPath, toByteString } from '../archive/index.ts';
import type { ByteString } from '../archive/index.ts';
import type { Stat } from '../proto/fsutil_stat.pb.ts';
import { TreeFilter } from './filter.ts';
import type { Verdict } from './filter.ts';
import { isDir } from './go-mode.ts';
import { pathError } from './path-error.ts';
import { joinPath } from './path-order.ts';
import { makeStat } from './stat-entry.ts';
import type { SeenInodes } from './stat-entry.ts';

export interface WalkOptions {
  readonly includePatterns?: readonly string[];
  readonly excludePatterns?: readonly string[];
  /** false: stats come without them, which is twice as fast. */
  readonly xattrs?: boolean;
}

export interface WalkEntry {
  /** `path` and `linkname` are byte strings; `path` has no leading slash. */
  readonly stat: Stat;
  /** Called before the next entry is asked for: does not descend into this folder. */
  skip(): void;
}

interface Level {
  readonly path: ByteString;
  readonly names: readonly ByteString[];
  at: number;
  /** The folder's own entry while no pattern has asked for it: it is given only once something below it is. */
  held: Stat | undefined;
  readonly verdict: Verdict | undefined;
}

function code(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}

/** What goes away while the walk looks is left out. */
function vanished(error: unknown): boolean {
  return code(error) === 'ENOENT' || code(error) === 'ENOTDIR';
}

/** Names in byte order. */
function namesOf(dir: ByteString): ByteString[] {
  return readdirSync(fsPath(dir), { encoding: 'latin1' }).sort();
}

/**
 * Synchronous: for worker threads. The root itself is no entry. Folders are read when the entry after them is asked for, so what
 * happened to a folder meanwhile counts.
 */
export function* walkTree(root: string, options: WalkOptions = {}): Generator<WalkEntry, void, void> {
  const top = toByteString(root === '/' ? '' : root.replace(/\/+$/, ''));
  const filter = TreeFilter.of(options);
  const seen: SeenInodes = new Map();
  const levels: Level[] = [{ path: '', names: namesOf(`${top}/`), at: 0, held: undefined, verdict: undefined }];
  let skipped = false;
  const give = (stat: Stat): WalkEntry => {
    skipped = false;
    return { stat, skip: () => void (skipped = true) };
  };
  for (;;) {
    const level = levels.at(-1) as Level;
    const name = level.names[level.at++];
    if (name === undefined) {
      levels.pop();
      if (levels.length === 0) return;
      continue;
    }
    const path = joinPath(level.path, name);
    const full = `${top}/${path}`;
    const verdict = filter?.judge(path, level.verdict);
    // Nothing of an excluded file is looked at: it may be unreadable.
    if (verdict?.emit === false && !verdict.descend) continue;
    let stat: Stat;
    try {
      stat = makeStat(full, path, lstatSync(fsPath(full), { bigint: true }), { seen, xattrs: options.xattrs });
    } catch (error) {
      if (vanished(error) || (verdict?.emit === false && code(error) === 'EACCES')) continue;
      throw pathError(error, 'failed to read', fromByteString(path));
    }
    let held: Stat | undefined;
    if (verdict === undefined || verdict.emit) {
      for (const above of levels) {
        if (above.held === undefined) continue;
        const parent = above.held;
        above.held = undefined;
        yield give(parent);
      }
      yield give(stat);
      if (skipped) continue;
    } else held = stat;
    if (!isDir(stat.mode) || verdict?.descend === false) continue;
    try {
      levels.push({ path, names: namesOf(full), at: 0, held, verdict });
    } catch (error) {
      if (vanished(error) || (held !== undefined && code(error) === 'EACCES')) continue;
      throw pathError(error, 'failed to read', fromByteString(path));
    }
  }
}
