/** Graphs that no Dockerfile has, as definitions for the standard input of `buildctl build`. */
import { writeFileSync } from 'node:fs';
import { copy, encodeDefinition, mkfile, scratch } from '../src/llb/index.ts';
import type { State } from '../src/llb/index.ts';

const CHAIN = 50;

/** About `count` file operations, in chains of 50 that end in one copy from all; `mark` makes them new. */
export function manyVertices(count: number, mark: string): State {
  let all = scratch();
  for (let left = count, chain = 0; left > 0; chain++) {
    const length = Math.min(left - 1, CHAIN - 1);
    let state = scratch();
    for (let i = 0; i < length; i++) state = state.file(mkfile(`/f${i}`, 0o644, `${mark} ${chain} ${i}`));
    all = length > 0 ? all.file(copy(state, '/f0', `/c${chain}`)) : all;
    left -= length + 1;
  }
  return all;
}

/** Writes it to a file; the file. */
export function writeDefinition(state: State, file: string): string {
  writeFileSync(file, encodeDefinition(state.marshal()));
  return file;
}
