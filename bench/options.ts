/** The command line of bench/run.ts. */
import { parseArgs } from 'node:util';

export const USAGE = `usage: npm run bench -- [options] [ROW...]

Times the rows (all, when none is named) with this project's daemon, beside the simplest tools that do the same work
and, when it is given, beside upstream's BuildKit, in turns. Needs root, runc and busybox; docker-registry, pigz and
curl for the rows that use them.

  --upstream DIR        folder with upstream's buildkitd and buildctl
  --upstream-on-path    take upstream's buildkitd and buildctl from $PATH
  --client WHOSE        own (default): each daemon is driven by its own buildctl, what a user waits for;
                        upstream: both are driven by upstream's, so that only the daemons differ
  --rounds N            rounds of every row, instead of the row's own number
  --scale F             sizes and counts times F, for a quick run (0.05, say); medians of scaled runs say little
  --markdown FILE       write the table there too
  --folder DIR          where to work (default: a new folder in the system's temporary one); needs 20 GB in full size
  --list                names the rows and what they do
`;

export interface Options {
  readonly rows: readonly string[];
  readonly upstream: 'path' | { readonly directory: string } | undefined;
  /** Whose buildctl drives this project's daemon. */
  readonly client: 'own' | 'upstream';
  readonly rounds: number | undefined;
  readonly scale: number;
  readonly markdown: string | undefined;
  readonly folder: string | undefined;
  readonly list: boolean;
  readonly help: boolean;
}

function positive(name: string, text: string): number {
  const value = Number(text);
  if (!(value > 0) || !Number.isFinite(value)) throw new Error(`--${name} takes a number above 0, not ${text}`);
  return value;
}

function clientOf(text: string, upstreamIsThere: boolean): Options['client'] {
  if (text !== 'own' && text !== 'upstream') throw new Error(`--client takes own or upstream, not ${text}`);
  if (text === 'upstream' && !upstreamIsThere)
    throw new Error('--client upstream needs --upstream or --upstream-on-path');
  return text;
}

/** Throws with a text for the user. */
export function parseOptions(argv: readonly string[]): Options {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      upstream: { type: 'string' },
      'upstream-on-path': { type: 'boolean', default: false },
      client: { type: 'string', default: 'own' },
      rounds: { type: 'string' },
      scale: { type: 'string' },
      markdown: { type: 'string' },
      folder: { type: 'string' },
      list: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  const rounds = values.rounds === undefined ? undefined : positive('rounds', values.rounds);
  if (rounds !== undefined && !Number.isInteger(rounds)) throw new Error('--rounds takes a whole number');
  const directory = values.upstream === undefined ? undefined : { directory: values.upstream };
  const upstream = directory ?? (values['upstream-on-path'] ? 'path' : undefined);
  return {
    rows: positionals,
    upstream,
    client: clientOf(values.client, upstream !== undefined),
    rounds,
    scale: values.scale === undefined ? 1 : positive('scale', values.scale),
    markdown: values.markdown,
    folder: values.folder,
    list: values.list,
    help: values.help,
  };
}
