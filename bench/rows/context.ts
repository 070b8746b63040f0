import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Payload } from '../payload.ts';
import { dockerfileBuild } from '../stand.ts';
import type { Row } from '../row.ts';

const SMALL_FILES = 20_000;
const SMALL_SIZE = 10_000;
const LARGE_FILES = 64;
const LARGE_SIZE = 16 << 20;
const SETTLE_MS = 5000;

export const context: Row = {
  name: 'context',
  work: 'a context of 20,000 small files (200 MB) and 1 GB of large ones, sent and copied whole into an image',
  rounds: 3,
  figures: [
    { name: 'first', limit: '`cp -a` of it, twice' },
    { name: 'nothing changed', limit: '`cp -au` over what is there' },
    { name: 'one file changed', limit: '`cp -au` over what is there' },
    { name: 'memory after', unit: 'MB' },
    { name: 'memory, peak', unit: 'MB' },
  ],
  async prepare(stand) {
    const folder = stand.context('context', { Dockerfile: 'FROM scratch\nCOPY . /\n' });
    const payload = new Payload(1);
    payload.writeFiles(join(folder, 'small'), stand.scaled(SMALL_FILES), SMALL_SIZE);
    payload.writeFiles(join(folder, 'large'), stand.scaled(LARGE_FILES), LARGE_SIZE);
    const build = dockerfileBuild(folder);
    let changes = 0;
    const changeOne = (): void => writeFileSync(join(folder, 'small/d0/f0'), `changed ${changes++}\n`);
    return {
      async measure(builder) {
        await builder.startAfresh();
        const first = await builder.build(build);
        const same = await builder.build(build);
        changeOne();
        const changed = await builder.build(build);
        await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
        const { now, peak } = builder.memory();
        return {
          first,
          'nothing changed': same,
          'one file changed': changed,
          'memory after': now,
          'memory, peak': peak,
        };
      },
      async limit(round) {
        const [a, b] = [stand.path(`copy-a${round}`), stand.path(`copy-b${round}`)];
        const first = await stand.shell(`cp -a '${folder}' '${a}'; cp -a '${a}' '${b}'`);
        const update = `cp -au '${folder}/.' '${a}'`;
        const same = await stand.shell(update);
        changeOne();
        const changed = await stand.shell(update);
        await stand.shell(`rm -rf '${a}' '${b}'`);
        return { first, 'nothing changed': same, 'one file changed': changed };
      },
    };
  },
};
