import { dockerfileBuild } from '../stand.ts';
import type { Row } from '../row.ts';

const LAYERS = 30;

export const merge: Row = {
  name: 'merge',
  work: `a Dockerfile with ${LAYERS} COPY --link, which are merged for a RUN`,
  rounds: 5,
  figures: [{ name: 'no cache' }, { name: 'all cached', limit: 'tar of the context through sha256sum' }],
  async prepare(stand) {
    const layers = stand.scaled(LAYERS, 2);
    const build = (mark: string): string[] => {
      const files = Object.fromEntries(Array.from({ length: layers }, (_, i) => [`f${i}`, `${mark} ${i}\n`]));
      const copies = Object.keys(files).map((name) => `COPY --link ${name} /${name}`);
      const text = ['FROM busybox', ...copies, 'RUN cat /f0 > /out', ''].join('\n');
      return [...dockerfileBuild(stand.context('merge', { Dockerfile: text, ...files })), ...stand.busybox];
    };
    return {
      warm: (builder) => builder.build(build('warm')),
      async measure(builder, round) {
        const cold = await builder.build(build(`new${round}`));
        return { 'no cache': cold, 'all cached': await builder.build(build(`new${round}`)) };
      },
      limit: async () => ({ 'all cached': await stand.hashing(stand.path('merge')) }),
    };
  },
};
