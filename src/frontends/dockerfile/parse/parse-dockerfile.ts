/** The lines of a Dockerfile become instructions: continued lines joined, comments dropped, heredocs attached. */
import { trimSpace, trimStart } from '../go-text.ts';
import { lineRanges, textError, withLocation } from '../located-error.ts';
import type { LineRange } from '../located-error.ts';
import { ARGUMENT_FORMS } from './arguments.ts';
import { DirectiveReader } from './directives.ts';
import { heredocsInLine } from './heredoc.ts';
import type { Heredoc } from './heredoc.ts';
import { LineReader } from './line-reader.ts';
import { splitCommand } from './split-command.ts';

export interface Node {
  /** The instruction's word as it was written. */
  readonly command: string;
  /** The joined line. */
  readonly original: string;
  readonly flags: readonly string[];
  /** For ONBUILD, the trigger's word and its arguments. */
  readonly args: readonly string[];
  readonly json: boolean;
  readonly heredocs: readonly Heredoc[];
  /** The comments directly above. */
  readonly comments: readonly string[];
  readonly location: readonly LineRange[];
}

export interface ParsedDockerfile {
  readonly nodes: readonly Node[];
  readonly escape: string;
  /** Lines that end an instruction with an empty line inside. */
  readonly emptyContinuations: readonly number[];
}

const HEREDOC_COMMANDS = new Set(['add', 'copy', 'run']);
/** ONBUILD ONBUILD … is refused later; here it must only not eat the stack. */
const MAX_NESTING = 64;

interface Escaping {
  readonly char: string;
  readonly continuation: RegExp;
}

function escaping(char: string): Escaping {
  if (char !== '`' && char !== '\\') throw textError(`invalid escape token '${char}' does not match \` or \\`);
  const escaped = char === '\\' ? '\\\\' : char;
  return { char, continuation: new RegExp(`(?:(?<=[^${escaped}])|^)${escaped}[ \\t]*$`) };
}

function trimNewline(line: string): string {
  let end = line.length;
  while (end > 0 && (line[end - 1] === '\n' || line[end - 1] === '\r')) end--;
  return line.slice(0, end);
}

function isComment(line: string): boolean {
  return trimStart(line).startsWith('#');
}

interface Parts {
  command: string;
  flags: readonly string[];
  args: readonly string[];
  json: boolean;
  /** Of ONBUILD. */
  trigger?: Parts;
}

function parseLine(line: string, escape: string, depth = 0): Parts {
  const { command, flags, rest } = splitCommand(line, escape);
  const name = command.toLowerCase();
  if (name === 'onbuild') {
    if (rest === '' || depth > MAX_NESTING) return { command, flags, args: [], json: false };
    const trigger = parseLine(rest, escape, depth + 1);
    return { command, flags, args: [trigger.command, ...trigger.args], json: false, trigger };
  }
  const form = ARGUMENT_FORMS.get(name);
  return { command, flags, ...(form?.(rest, escape) ?? { args: [], json: false }) };
}

function mayHaveHeredocs(parts: Parts): boolean {
  const { command, json } = parts.trigger ?? parts;
  return HEREDOC_COMMANDS.has(command.toLowerCase()) && !json;
}

/** `text` has no byte order mark. Throws LocatedErrors. */
export function parseDockerfile(text: string): ParsedDockerfile {
  return new DockerfileParser(text).parse();
}

class DockerfileParser {
  readonly #lines: LineReader;
  readonly #directives = new DirectiveReader();
  readonly #nodes: Node[] = [];
  readonly #emptyContinuations: number[] = [];
  #escaping = escaping('\\');
  #comments: string[] = [];

  constructor(text: string) {
    this.#lines = new LineReader(text);
  }

  parse(): ParsedDockerfile {
    for (let raw = this.#lines.next(); raw !== undefined; raw = this.#lines.next()) this.#instruction(raw);
    if (this.#nodes.length === 0) {
      throw withLocation(textError('file with no instructions'), lineRanges(this.#lines.line, 0));
    }
    this.#lines.check();
    return { nodes: this.#nodes, escape: this.#escaping.char, emptyContinuations: this.#emptyContinuations };
  }

  /** True when the line is a directive. */
  #directive(line: string): boolean {
    const directive = this.#directives.read(line);
    if (directive?.name === 'escape') this.#escaping = escaping(directive.value);
    return directive !== undefined;
  }

  #located<T>(start: number, end: number, work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw withLocation(error, lineRanges(start, end));
    }
  }

  #instruction(raw: string): void {
    const start = this.#lines.line;
    const first = trimStart(trimNewline(raw));
    const isDirective = this.#located(start - 1, 0, () => this.#directive(first));
    if (isComment(raw)) {
      const comment = trimSpace(raw.slice(1));
      if (comment === '') this.#comments = [];
      else if (!isDirective) this.#comments.push(comment);
      return;
    }
    const continued = this.#escaping.continuation;
    let ended = !continued.test(first);
    if (ended && first === '') return;
    const parts = [first.replace(continued, '')];
    let hasEmpty = false;
    while (!ended) {
      const next = this.#lines.next();
      if (next === undefined) break;
      const body = trimNewline(next);
      this.#located(this.#lines.line - 1, 0, () => this.#directive(body));
      if (isComment(next)) continue;
      if (trimStart(body) === '') {
        hasEmpty = true;
        continue;
      }
      ended = !continued.test(body);
      parts.push(body.replace(continued, ''));
    }
    const line = parts.join('');
    if (hasEmpty) this.#emptyContinuations.push(this.#lines.line);
    this.#finish(line, start);
  }

  #finish(line: string, start: number): void {
    const end = this.#lines.line;
    const node = this.#located(start, end, () => parseLine(line, this.#escaping.char));
    const heredocs =
      mayHaveHeredocs(node) && line.includes('<<')
        ? this.#located(start, end, () => heredocsInLine(line)).map((h) => this.#body(h, start))
        : [];
    this.#nodes.push({
      command: node.command,
      original: line,
      flags: node.flags,
      args: node.args,
      json: node.json,
      heredocs,
      comments: this.#comments,
      location: lineRanges(start, this.#lines.line),
    });
    this.#comments = [];
  }

  #body(heredoc: Heredoc, start: number): Heredoc {
    const body: string[] = [];
    for (let line = this.#lines.next(); line !== undefined; line = this.#lines.next()) {
      const bare = trimNewline(line);
      if ((heredoc.chomp ? bare.replace(/^\t+/, '') : bare) === heredoc.name) {
        return { ...heredoc, content: body.join('') };
      }
      body.push(line);
    }
    this.#lines.check();
    throw withLocation(textError('unterminated heredoc'), lineRanges(start, this.#lines.line));
  }
}
