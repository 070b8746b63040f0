import { lstatSync, readdirSync, rmdirSync, unlinkSync } from 'node:fs';
import { fsPath } from '../archive/index.ts';
import type { ByteString } from '../archive/index.ts';

/** Removes `path` and, when it is a folder, all below it; links are removed, never followed. Nothing there is no error. */
export function removeTree(path: ByteString): void {
  const stats = lstatSync(fsPath(path), { throwIfNoEntry: false });
  if (stats === undefined) return;
  if (!stats.isDirectory()) {
    unlinkSync(fsPath(path));
    return;
  }
  for (const name of readdirSync(fsPath(path), { encoding: 'latin1' })) removeTree(`${path}/${name}`);
  rmdirSync(fsPath(path));
}
