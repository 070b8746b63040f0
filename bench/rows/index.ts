/** All rows of the table, in its order. */
import type { Row } from '../row.ts';
import { answers } from './answers.ts';
import { chain } from './chain.ts';
import { clients } from './clients.ts';
import { context } from './context.ts';
import { daemon } from './daemon.ts';
import { graph } from './graph.ts';
import { hello } from './hello.ts';
import { image } from './image.ts';
import { merge } from './merge.ts';
import { records } from './records.ts';
import { repeated } from './repeated.ts';
import { stages } from './stages.ts';
import { windows } from './windows.ts';

export const ROWS: readonly Row[] = [
  hello,
  stages,
  chain,
  context,
  image,
  clients,
  daemon,
  graph,
  merge,
  records,
  repeated,
  answers,
  windows,
];
