import { join } from 'node:path';
import { latencyDuring } from '../latency.ts';
import { Payload } from '../payload.ts';
import { dockerfileBuild } from '../stand.ts';
import type { Row } from '../row.ts';
import { helloDockerfile } from './hello.ts';

const FILES = 64;
const SIZE = 16 << 20;
const CLIENTS = 20;

export const answers: Row = {
  name: 'answers',
  work: 'how long `debug info` waits while the daemon is at work: the slowest answer of many, asked every 20 ms',
  rounds: 3,
  figures: [
    { name: 'context of 1 GB comes in, worst', unit: 'ms' },
    { name: 'layer of 1 GB is exported with gzip, worst', unit: 'ms' },
    { name: '20 different builds, worst', unit: 'ms' },
    { name: '20 different builds, median', unit: 'ms' },
  ],
  async prepare(stand) {
    const folder = stand.context('answers', { Dockerfile: 'FROM scratch\nCOPY . /\n' });
    new Payload(3).writeFiles(join(folder, 'files'), stand.scaled(FILES), SIZE);
    const large = dockerfileBuild(folder);
    const output = ['--output', `type=oci,dest=${stand.path('answers.tar')}`];
    const small = (round: number): string[][] =>
      Array.from({ length: CLIENTS }, (_, i) => {
        const text = helloDockerfile(`answers${round}.${i}`, 'same');
        return [...dockerfileBuild(stand.context(`answers${i}`, { Dockerfile: text })), ...stand.busybox];
      });
    return {
      async measure(builder, round) {
        await builder.startAfresh();
        const receive = await latencyDuring(builder.address, () => builder.build(large));
        const send = await latencyDuring(builder.address, () => builder.build([...large, ...output]));
        const builds = small(round);
        const many = await latencyDuring(builder.address, () => Promise.all(builds.map((b) => builder.build(b))));
        return {
          'context of 1 GB comes in, worst': receive.worst,
          'layer of 1 GB is exported with gzip, worst': send.worst,
          '20 different builds, worst': many.worst,
          '20 different builds, median': many.median,
        };
      },
    };
  },
};
