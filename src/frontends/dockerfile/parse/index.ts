/**
 * A Dockerfile's bytes in, its instructions as words with line ranges out; and the shell-like expansion of words.
 * Deliberately absent: what instructions mean.
 */
export { decodeSource } from './line-reader.ts';
export { detectSyntax, DirectiveReader, findDirective } from './directives.ts';
export type { DetectedDirective } from './directives.ts';
export { chompContent, findHeredocWord } from './heredoc.ts';
export type { Heredoc } from './heredoc.ts';
export { INSTRUCTION_NAMES } from './arguments.ts';
export { parseDockerfile } from './parse-dockerfile.ts';
export type { Node, ParsedDockerfile } from './parse-dockerfile.ts';
export { EMPTY_ENV, expandWord } from './shell-words.ts';
export type { Env, Expansion, LexOptions } from './shell-words.ts';
