/** Go's text/tabwriter as buildctl uses it: a cell is ended by a tab; a column's width counts while lines have it. */
export interface TableOptions {
  readonly padding: 'tabs' | 'spaces';
}

const TAB = 8;

function width(text: string): number {
  return Array.from(text).length;
}

/** Aligns the cells of `text`, whose lines end with a line break. */
export function alignTable(text: string, options: TableOptions = { padding: 'tabs' }): string {
  const lines = text.split('\n').map((line) => line.split('\t'));
  const widths = lines.map((cells) => cells.map(() => 0));
  // A column is a run of neighbouring lines that end a cell there.
  const columns = Math.max(...lines.map((cells) => cells.length - 1), 0);
  for (let column = 0; column < columns; column++) {
    for (let from = 0; from < lines.length; from++) {
      if (lines[from].length - 1 <= column) continue;
      let to = from;
      while (to < lines.length && lines[to].length - 1 > column) to++;
      let widest = 0;
      let empty = true;
      for (let i = from; i < to; i++) {
        const w = width(lines[i][column]);
        if (w > 0) empty = false;
        widest = Math.max(widest, w + 1);
      }
      if (empty) widest = options.padding === 'tabs' ? 1 : 1;
      if (options.padding === 'tabs') widest = Math.ceil(widest / TAB) * TAB;
      for (let i = from; i < to; i++) widths[i][column] = widest;
      from = to;
    }
  }
  return lines
    .map((cells, i) =>
      cells
        .map((cell, column) => {
          if (column === cells.length - 1) return cell;
          const gap = widths[i][column] - width(cell);
          return cell + (options.padding === 'tabs' ? '\t'.repeat(Math.ceil(gap / TAB)) : ' '.repeat(gap));
        })
        .join(''),
    )
    .join('\n');
}
