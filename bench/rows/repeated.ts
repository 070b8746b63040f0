import { dockerfileBuild } from '../stand.ts';
import type { Row } from '../row.ts';
import { helloDockerfile } from './hello.ts';

const FEW = 20;
const MANY = 200;
const SETTLE_MS = 5000;

export const repeated: Row = {
  name: 'repeated',
  work: "the daemon's memory after builds of 3 RUN, of which the first is new every time",
  rounds: 1,
  figures: [
    { name: 'after 20', unit: 'MB' },
    { name: 'after 200', unit: 'MB' },
  ],
  async prepare(stand) {
    const build = (mark: string): string[] => {
      const folder = stand.context('repeated', { Dockerfile: helloDockerfile(mark, 'same') });
      return [...dockerfileBuild(folder), ...stand.busybox];
    };
    return {
      async measure(builder) {
        await builder.startAfresh();
        const after = async (from: number, to: number): Promise<number> => {
          for (let i = from; i < to; i++) await builder.build(build(`build${i}`));
          await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
          return builder.memory().now;
        };
        const few = stand.scaled(FEW);
        const afterFew = await after(0, few);
        return { 'after 20': afterFew, 'after 200': await after(few, stand.scaled(MANY, few + 1)) };
      },
    };
  },
};
