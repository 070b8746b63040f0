import { textError } from '../located-error.ts';
import { chompContent, findHeredocWord } from '../parse/index.ts';
import type { Node } from '../parse/index.ts';
import { Flags } from './flags.ts';
import type { FlagKind } from './flags.ts';
import type { CommandOf, CopyFlags, Located, SourceContent } from './types.ts';

const SHARED: Readonly<Record<string, FlagKind>> = {
  chown: 'string',
  chmod: 'string',
  link: 'bool',
  exclude: 'list',
};

function copyFlags(node: Node, flags: Flags, instruction: string): CopyFlags {
  const dest = node.args[node.args.length - 1];
  if (findHeredocWord(dest) !== undefined) {
    throw textError(`${instruction} cannot accept a heredoc as a destination`);
  }
  const bodies = new Map(node.heredocs.map((h) => [h.name, h.content]));
  const sources: string[] = [];
  const contents: SourceContent[] = [];
  for (const word of node.args.slice(0, -1)) {
    const heredoc = findHeredocWord(word);
    if (heredoc === undefined) {
      sources.push(word);
      continue;
    }
    const data = bodies.get(heredoc.name) ?? '';
    contents.push({
      path: heredoc.name,
      data: heredoc.chomp ? chompContent(data) : data,
      expand: heredoc.expand,
    });
  }
  return {
    sources,
    contents,
    dest,
    chown: flags.string('chown'),
    chmod: flags.string('chmod'),
    link: flags.bool('link') === true,
    excludes: flags.list('exclude'),
  };
}

function needTwo(node: Node, instruction: string): void {
  if (node.args.length >= 2) return;
  throw textError(
    `${instruction} requires at least two arguments, but only one was provided. Destination could not be determined`,
  );
}

export function parseAdd(node: Node, base: Located): CommandOf<'add'> {
  needTwo(node, 'ADD');
  const flags = new Flags(node.flags, { ...SHARED, 'keep-git-dir': 'bool', checksum: 'string', unpack: 'bool' });
  return {
    ...base,
    kind: 'add',
    ...copyFlags(node, flags, 'ADD'),
    keepGitDir: flags.bool('keep-git-dir'),
    checksum: flags.string('checksum'),
    unpack: flags.bool('unpack'),
  };
}

export function parseCopy(node: Node, base: Located): CommandOf<'copy'> {
  needTwo(node, 'COPY');
  const flags = new Flags(node.flags, { ...SHARED, from: 'string', parents: 'bool' });
  return {
    ...base,
    kind: 'copy',
    ...copyFlags(node, flags, 'COPY'),
    from: flags.string('from'),
    parents: flags.bool('parents') === true,
  };
}
