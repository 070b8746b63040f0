import { dockerfileBuild } from '../stand.ts';
import type { Row } from '../row.ts';

const STEPS = 60;

export const chain: Row = {
  name: 'chain',
  work: `a Dockerfile with ${STEPS} RUN after one another, without an export`,
  rounds: 5,
  figures: [
    { name: 'no cache', limit: 'as many bare `runc run`' },
    { name: 'last line changed', limit: '1 bare `runc run`' },
    { name: 'all cached', limit: 'tar of the context through sha256sum' },
  ],
  async prepare(stand) {
    const steps = stand.scaled(STEPS, 2);
    const build = (first: string, last: string): string[] => {
      const lines = Array.from({ length: steps - 2 }, (_, i) => `RUN echo ${i} > /step${i}`);
      const all = ['FROM busybox', `RUN echo ${first} > /first`, ...lines, `RUN echo ${last} > /last`, ''];
      return [...dockerfileBuild(stand.context('chain', { Dockerfile: all.join('\n') })), ...stand.busybox];
    };
    return {
      warm: (builder) => builder.build(build('warm', 'warm')),
      async measure(builder, round) {
        const cold = await builder.build(build(`new${round}`, 'same'));
        const changed = await builder.build(build(`new${round}`, `other${round}`));
        const cached = await builder.build(build(`new${round}`, `other${round}`));
        return { 'no cache': cold, 'last line changed': changed, 'all cached': cached };
      },
      async limit() {
        return {
          'no cache': await stand.chain(steps),
          'last line changed': await stand.chain(1),
          'all cached': await stand.hashing(stand.path('chain')),
        };
      },
    };
  },
};
