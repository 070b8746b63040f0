import { existsSync, readFileSync, rmSync, unlinkSync } from 'node:fs';
import { dirname } from 'node:path';
import { ChangeFollower } from './changes.ts';
import type { NotedChange } from './changes.ts';
import { loadTree, saveTree, syncFolder, treeVersion } from './node-file.ts';
import { newFolder } from './nodes.ts';
import type { FolderNode } from './nodes.ts';

/** Where a tree's digests are, and the journal whose presence says that the tree is being changed. */
export interface TreeFiles {
  readonly tree: string;
  readonly journal: string;
}

interface Kept {
  readonly version: string;
  readonly root: FolderNode;
}

/** Trees of this thread's memory. A version on disk that another thread wrote replaces the one that is kept. */
export class StoredTrees {
  /** In order of use. */
  readonly #kept = new Map<string, Kept>();

  load({ tree }: TreeFiles): FolderNode {
    const kept = this.#kept.get(tree);
    this.#kept.delete(tree);
    const version = treeVersion(tree);
    if (version === undefined) return newFolder();
    const found = kept?.version === version ? kept : loadTree(tree);
    if (found === undefined) return newFolder();
    this.#kept.set(tree, found);
    return found.root;
  }

  save({ tree }: TreeFiles, root: FolderNode, options: { durable: boolean; keep: number }): void {
    const version = saveTree(tree, root, options.durable);
    this.#kept.delete(tree);
    this.#kept.set(tree, { version, root });
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= options.keep) break;
      this.#kept.delete(oldest);
    }
  }

  /** Something went wrong half-way: what is in memory may be ahead of the disk. */
  forget({ tree }: TreeFiles): void {
    this.#kept.delete(tree);
  }

  /** Nobody is changing the tree, yet a journal is there: its changes were never finished, so nothing is known. */
  dropUnfinished(files: TreeFiles): void {
    if (!existsSync(files.journal)) return;
    this.forget(files);
    rmSync(files.tree, { force: true });
    syncFolder(dirname(files.tree));
    rmSync(files.journal, { force: true });
  }

  /** The saved tree is on the disk before the journal goes. */
  commit(files: TreeFiles, keep: number): void {
    const root = this.load(files);
    this.forget(files);
    const follower = new ChangeFollower(root);
    for (const line of readFileSync(files.journal, 'utf8').split('\n'))
      if (line !== '') follower.apply(JSON.parse(line) as NotedChange);
    this.save(files, root, { durable: true, keep });
    // Should that not reach the disk, the tree is hashed again.
    unlinkSync(files.journal);
  }
}
