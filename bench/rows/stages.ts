import { dockerfileBuild } from '../stand.ts';
import type { Row } from '../row.ts';

const STAGES = 8;

/** A busy second and an idle one, as a script for busybox' shell whose loop takes about a second of a free processor. */
function second(turns: number): string {
  return `i=0; while [ $i -lt ${turns} ]; do i=$((i+1)); done; sleep 1`;
}

export const stages: Row = {
  name: 'stages',
  work: `${STAGES} stages that depend on nothing, each busy for 1 s and asleep for 1 s, then one that copies from all`,
  rounds: 3,
  figures: [{ name: 'no cache', limit: 'as many bare `runc run` side by side' }],
  async prepare(stand) {
    const trial = 200_000;
    const took = await stand.shell(`busybox sh -c 'i=0; while [ $i -lt ${trial} ]; do i=$((i+1)); done'`);
    const script = second(stand.scaled(trial / took));
    const build = (mark: string): string[] => {
      const names = Array.from({ length: STAGES }, (_, i) => `stage${i}`);
      const lines = names.map((n) => `FROM busybox AS ${n}\nRUN echo ${n} ${mark} > /${n}; ${script}\n`);
      const copies = names.map((n) => `COPY --from=${n} /${n} /${n}\n`);
      const text = `${lines.join('')}FROM busybox\n${copies.join('')}`;
      return [...dockerfileBuild(stand.context('stages', { Dockerfile: text })), ...stand.busybox];
    };
    const warmUp = stand.context('stages-base', { Dockerfile: 'FROM busybox\nRUN true\n' });
    const base = [...dockerfileBuild(warmUp), ...stand.busybox];
    return {
      warm: (builder) => builder.build(base),
      measure: async (builder, round) => ({ 'no cache': await builder.build(build(`new${round}`)) }),
      async limit() {
        const runs = await Promise.all(Array.from({ length: STAGES }, () => stand.bareContainer(script)));
        const start = performance.now();
        await Promise.all(runs.map((run) => run()));
        return { 'no cache': (performance.now() - start) / 1000 };
      },
    };
  },
};
