import { clocked } from '../timed.ts';
import { dockerfileBuild } from '../stand.ts';
import type { Row } from '../row.ts';
import type { Builder } from '../builder.ts';
import type { Stand } from '../stand.ts';
import { helloDockerfile } from './hello.ts';

const FEW = 10;
const MANY = 20;

/** `count` clients at once, each with a Dockerfile of its own text. */
function atOnce(stand: Stand, builder: Builder, count: number, first: (client: number) => string): Promise<number> {
  const builds = Array.from({ length: count }, (_, i) => {
    const folder = stand.context(`client${i}`, { Dockerfile: helloDockerfile(first(i), 'same') });
    return [...dockerfileBuild(folder), ...stand.busybox];
  });
  return clocked(() => Promise.all(builds.map((build) => builder.build(build))));
}

/** So many chains of three containers at once, or so many hashes. */
function limitAtOnce(count: number, one: (index: number) => Promise<unknown>): Promise<number> {
  return clocked(() => Promise.all(Array.from({ length: count }, (_, i) => one(i))));
}

export const clients: Row = {
  name: 'clients',
  work: 'several clients at once, each building 3 RUN on busybox',
  rounds: 5,
  figures: [
    { name: '10 same', limit: '3 bare `runc run`' },
    { name: '10 different', limit: '10 chains of 3 bare `runc run`' },
    { name: '10 cached', limit: '10 tars of the context through sha256sum' },
    { name: '20 same', limit: '3 bare `runc run`' },
    { name: '20 different', limit: '20 chains of 3 bare `runc run`' },
  ],
  async prepare(stand) {
    return {
      warm: (builder) => atOnce(stand, builder, 1, () => 'warm'),
      async measure(builder, round) {
        const run = (count: number, first: (client: number) => string): Promise<number> =>
          atOnce(stand, builder, count, first);
        return {
          '10 same': await run(FEW, () => `same${round}`),
          '10 different': await run(FEW, (i) => `ten${round}.${i}`),
          '10 cached': await run(FEW, (i) => `ten${round}.${i}`),
          '20 same': await run(MANY, () => `twenty${round}`),
          '20 different': await run(MANY, (i) => `twenty${round}.${i}`),
        };
      },
      async limit() {
        const same = await stand.chain(3);
        return {
          '10 same': same,
          '10 different': await limitAtOnce(FEW, () => stand.chain(3)),
          '10 cached': await limitAtOnce(FEW, (i) => stand.hashing(stand.path(`client${i}`))),
          '20 same': same,
          '20 different': await limitAtOnce(MANY, () => stand.chain(3)),
        };
      },
    };
  },
};
