import { join } from 'node:path';
import { writeWindowsLayout } from '../../tests/system/windows-base.ts';
import type { Builder } from '../builder.ts';
import { Payload } from '../payload.ts';
import { dockerfileBuild } from '../stand.ts';
import type { Row } from '../row.ts';
import type { Sample } from '../statistics.ts';

const FILES = 20_000;
const SIZE = 10_000;

/** The limit is this project's own: the same files for Linux, where names have case and layers no records of Windows. */
export const windows: Row = {
  name: 'windows',
  work: 'an image for Windows of 20,000 small files (200 MB), made on Linux',
  rounds: 5,
  figures: [
    { name: 'COPY, no export', limit: 'the same for linux/amd64' },
    { name: 'oci archive, cold', limit: 'the same for linux/amd64' },
    { name: 'oci archive, one file changed', limit: 'the same for linux/amd64' },
    { name: 'oci archive, all cached', limit: 'the same for linux/amd64' },
  ],
  async prepare(stand) {
    const base = writeWindowsLayout(stand.path('windows-base'), 'base', '10.0.20348.2227');
    const folder = stand.context('windows', { changed: '' });
    new Payload(4).writeFiles(join(folder, 'files'), stand.scaled(FILES), SIZE);
    let measured: Builder | undefined;
    let changes = 0;
    const sample = async (builder: Builder, os: 'windows' | 'linux'): Promise<Sample> => {
      const from = os === 'windows' ? 'base' : 'busybox';
      stand.context('windows', { Dockerfile: `FROM ${from}\nCOPY . /app/\n` });
      const args = [...dockerfileBuild(folder), ...(os === 'windows' ? base : stand.busybox)];
      args.push('--opt', `platform=${os === 'windows' ? 'windows(10.0.20348)' : os}/amd64`);
      const output = ['--output', `type=oci,dest=${stand.path(`windows-${builder.programs.name}.tar`)}`];
      const change = (): unknown => stand.context('windows', { changed: `${++changes}` });
      await builder.startAfresh();
      const copied = await builder.build(args);
      await builder.startAfresh();
      const cold = await builder.build([...args, ...output]);
      change();
      const changed = await builder.build([...args, ...output]);
      const cached = await builder.build([...args, ...output]);
      return {
        'COPY, no export': copied,
        'oci archive, cold': cold,
        'oci archive, one file changed': changed,
        'oci archive, all cached': cached,
      };
    };
    return {
      measure(builder) {
        if (builder.programs.name === 'ours') measured = builder;
        return sample(builder, 'windows');
      },
      limit: () => sample(measured as Builder, 'linux'),
    };
  },
};
