import { posix } from 'node:path';
import type { ReadGitUrl } from '../../attest/index.ts';
import { parseGitRef } from '../../frontends/index.ts';

/** What is no git URL, or a wrong one, is not taken apart. */
export const readGitUrl: ReadGitUrl = (text) => {
  let parsed: ReturnType<typeof parseGitRef>;
  try {
    parsed = parseGitRef(text);
  } catch {
    return undefined;
  }
  if (parsed === undefined) return undefined;
  const { remote, ref, subdir } = parsed;
  const folder = posix.join('/', subdir).slice(1);
  const source = ref === '' ? remote : `${remote}#${ref}`;
  if (folder === '') return { source, config: source };
  return { source, config: `${remote}#${ref}:${folder}` };
};
