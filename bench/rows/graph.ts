import { manyVertices, writeDefinition } from '../definition.ts';
import type { Row } from '../row.ts';

const VERTICES = 2000;

export const graph: Row = {
  name: 'graph',
  work: 'a definition of 2,000 file operations, no Dockerfile',
  rounds: 7,
  figures: [{ name: 'all cached' }],
  async prepare(stand) {
    const file = writeDefinition(manyVertices(stand.scaled(VERTICES, 2), 'graph'), stand.path('graph.pb'));
    return {
      warm: (builder) => builder.build([], file),
      measure: async (builder) => ({ 'all cached': await builder.build([], file) }),
    };
  },
};
