import { manyVertices, writeDefinition } from '../definition.ts';
import type { Row } from '../row.ts';

const RECORDS = 10_000;
const AT_ONCE = 1000;

export const records: Row = {
  name: 'records',
  work: 'the daemon starts on a state folder with 10,000 cache records',
  rounds: 7,
  figures: [{ name: 'start to first answer' }],
  async prepare(stand) {
    const files: string[] = [];
    for (let left = stand.scaled(RECORDS, 2); left > 0; left -= AT_ONCE) {
      const mark = `records ${files.length}`;
      const state = manyVertices(Math.min(left, AT_ONCE), mark);
      files.push(writeDefinition(state, stand.path(`records${files.length}.pb`)));
    }
    return {
      async warm(builder) {
        for (const file of files) await builder.build([], file);
      },
      async measure(builder) {
        await builder.stop();
        return { 'start to first answer': await builder.start() };
      },
    };
  },
};
