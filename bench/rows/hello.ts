import { dockerfileBuild } from '../stand.ts';
import type { Row } from '../row.ts';

/** Three steps; `first` and `second` are what the first two write. */
export function helloDockerfile(first: string, second: string): string {
  return ['FROM busybox', `RUN echo ${first} > /first`, `RUN echo ${second} > /second`, 'RUN echo 3 > /third', ''].join(
    '\n',
  );
}

export const hello: Row = {
  name: 'hello',
  work: 'a Dockerfile with 3 RUN on busybox, without an export',
  rounds: 15,
  figures: [
    { name: 'no cache', limit: '3 bare `runc run`' },
    { name: 'one RUN changed', limit: '2 bare `runc run`' },
    { name: 'all cached', limit: 'tar of the context through sha256sum' },
  ],
  async prepare(stand) {
    let folder = '';
    const dockerfile = (first: string, second: string): string =>
      (folder = stand.context('hello', { Dockerfile: helloDockerfile(first, second) }));
    const build = (first: string, second: string): string[] => [
      ...dockerfileBuild(dockerfile(first, second)),
      ...stand.busybox,
    ];
    return {
      warm: (builder) => builder.build(build('warm', 'warm')),
      async measure(builder, round) {
        const first = build(`new${round}`, 'same');
        const cold = await builder.build(first);
        const changed = await builder.build(build(`new${round}`, `other${round}`));
        const cached = await builder.build(build(`new${round}`, `other${round}`));
        return { 'no cache': cold, 'one RUN changed': changed, 'all cached': cached };
      },
      async limit() {
        return {
          'no cache': await stand.chain(3),
          'one RUN changed': await stand.chain(2),
          'all cached': await stand.hashing(folder),
        };
      },
    };
  },
};
