/** What Node starts as buildkitd. */
import { join } from 'node:path';
import { Program } from './program.ts';
import { recordCode } from './recorder.ts';

/** The bundle, beside this file. Its name is made from its content: V8 compares nothing but the length. */
declare const PROGRAM: string;

const kept = join(__dirname, 'cache', PROGRAM);
const paths = { start: `${kept}.start`, build: `${kept}.build` };
const program = new Program(join(__dirname, PROGRAM), [paths.build, paths.start]);
program.run(require, recordCode(program, paths));
