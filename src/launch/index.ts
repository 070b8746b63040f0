/**
 * What Node starts: in comes the path of a program's one file, out goes its run with the code that V8 made of it in an earlier
 * run. `buildctl.ts` and `buildkitd.ts` are bundled alone, so that nothing else is read before. Deliberately absent: what the programs do.
 */
export type { CodeRecorder } from './recorder.ts';
