import { join } from 'node:path';
import { writeWindowsLayout } from '../../tests/system/windows-base.ts';
import type { Builder } from '../builder.ts';
import { Payload } from '../payload.ts';
import { dockerfileBuild } from '../stand.ts';
import type { Row } from '../row.ts';
import type { Sample } from '../statistics.ts';

const FILES = 20_000;
const SIZE = 10_000;

const PLATFORMS = { windows: 'windows(10.0.20348)/amd64', linux: 'linux/amd64' } as const;
type Os = keyof typeof PLATFORMS;

const FIGURES = [
  'COPY, no export',
  'oci archive, cold',
  'oci archive, one file changed',
  'oci archive, all cached',
  'COPY --from, names folded',
  'COPY --from, onto those names',
] as const;

/** Nothing but the platform differs: for Windows every name is looked for in the folder that it goes to, whatever its case. */
const FILES_STAGE = 'FROM scratch AS files\nCOPY files /\n';
const COPIED = `${FILES_STAGE}FROM scratch\nCOPY --from=files / /app/\n`;
const COPIED_AGAIN = `${COPIED}COPY --from=files / /app/\n`;

/** The limit is this project's own: the same files for Linux, where names have case and layers no records of Windows. */
export const windows: Row = {
  name: 'windows',
  work: 'an image for Windows of 20,000 small files (200 MB), made on Linux',
  rounds: 5,
  figures: FIGURES.map((name) => ({ name, limit: 'the same for linux/amd64' })),
  async prepare(stand) {
    const base = writeWindowsLayout(stand.path('windows-base'), 'base', '10.0.20348.2227');
    const folder = stand.context('windows', { changed: '' });
    new Payload(4).writeFiles(join(folder, 'files'), stand.scaled(FILES), SIZE);
    let changes = 0;

    const image = async (builder: Builder, os: Os): Promise<Sample> => {
      stand.context('windows', { Dockerfile: `FROM ${os === 'windows' ? 'base' : 'busybox'}\nCOPY . /app/\n` });
      const args = [...dockerfileBuild(folder), ...(os === 'windows' ? base : stand.busybox)];
      args.push('--opt', `platform=${PLATFORMS[os]}`);
      const output = ['--output', `type=oci,dest=${stand.path(`windows-${builder.programs.name}.tar`)}`];
      await builder.startAfresh();
      const copied = await builder.build(args);
      await builder.startAfresh();
      const cold = await builder.build([...args, ...output]);
      stand.context('windows', { changed: `${++changes}` });
      const changed = await builder.build([...args, ...output]);
      const cached = await builder.build([...args, ...output]);
      return {
        'COPY, no export': copied,
        'oci archive, cold': cold,
        'oci archive, one file changed': changed,
        'oci archive, all cached': cached,
      };
    };

    /** With the files in the cache already, so that the copying is nearly all there is. */
    const copying = async (builder: Builder, os: Os): Promise<Sample> => {
      const build = (dockerfile: string, ...more: string[]): Promise<number> => {
        stand.context('windows', { Dockerfile: dockerfile });
        return builder.build([...dockerfileBuild(folder), '--opt', `platform=${PLATFORMS[os]}`, ...more]);
      };
      await builder.startAfresh();
      await build(FILES_STAGE);
      const copied = await build(COPIED);
      return { 'COPY --from, names folded': copied, 'COPY --from, onto those names': await build(COPIED_AGAIN) };
    };

    const sample = async (builder: Builder, os: Os): Promise<Sample> => ({
      ...(await image(builder, os)),
      ...(await copying(builder, os)),
    });

    let forLinux: Sample = {};
    return {
      async measure(builder, round) {
        if (builder.programs.name !== 'ours') return await sample(builder, 'windows');
        if (round % 2 === 1) forLinux = await sample(builder, 'linux');
        const forWindows = await sample(builder, 'windows');
        if (round % 2 === 0) forLinux = await sample(builder, 'linux');
        return forWindows;
      },
      /** Of the same round: who begins changes. */
      limit: async () => forLinux,
    };
  },
};
