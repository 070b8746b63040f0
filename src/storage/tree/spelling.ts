import { TreeSpelling } from '../../archive/windows/index.ts';
import type { LayerTree } from './layer-tree.ts';

/** How the names of a tree are spelt, for what writes to its topmost directory. */
export function spellingOf(tree: LayerTree): TreeSpelling {
  return new TreeSpelling({
    names: (path) => {
      const folder = tree.lookup(path)?.folder;
      return folder === undefined ? [] : tree.names(folder);
    },
    has: (path) => tree.lookup(path) !== undefined,
  });
}
