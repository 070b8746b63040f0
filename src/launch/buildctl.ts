/** What Node starts as buildctl. */
import { join } from 'node:path';
import { keepCode } from './kept-code.ts';
import { Program } from './program.ts';

/** The bundle, beside this file. Its name is made from its content: V8 compares nothing but the length. */
declare const PROGRAM: string;

/** Commands need different code: each has its own. */
const COMMANDS = ['build', 'b', 'debug', 'du', 'prune', 'prune-histories', 'dial-stdio'];

const command = process.argv.find((word) => COMMANDS.includes(word)) ?? 'none';
const kept = join(__dirname, 'cache', `${PROGRAM}.${command}`);
const program = new Program(join(__dirname, PROGRAM), [kept]);
if (program.from === undefined) {
  program.remember();
  process.once('exit', (status) => {
    // Of a run that went wrong something is missing.
    if (status === 0) keepCode(kept, program.take());
  });
}
program.run(require);
