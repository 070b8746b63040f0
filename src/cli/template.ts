import { invalidArgument } from '../base/index.ts';

/**
 * The part of Go's text/template that `--format` is used with: text, `{{json .}}`, `{{.Field.Sub}}`, `{{range .X}}`,
 * `{{if .X}}`, `{{else}}`, `{{end}}`, `{{len .X}}`, `{{"text"}}`, and `-` at either side that trims.
 */
export type Template = (value: unknown) => string;

type Node = (scope: unknown) => string;

interface Token {
  readonly kind: 'text' | 'action';
  readonly text: string;
}

function tokens(source: string): Token[] {
  const out: Token[] = [];
  let at = 0;
  let trim = false;
  for (;;) {
    const open = source.indexOf('{{', at);
    let text = open < 0 ? source.slice(at) : source.slice(at, open);
    if (trim) text = text.trimStart();
    if (open < 0) {
      out.push({ kind: 'text', text });
      return out;
    }
    const close = source.indexOf('}}', open);
    if (close < 0) throw invalidArgument('template: :1: unclosed action');
    let action = source.slice(open + 2, close);
    if (/^-\s/.test(action)) {
      text = text.trimEnd();
      action = action.slice(1);
    }
    trim = /\s-$/.test(action);
    if (trim) action = action.slice(0, -1);
    out.push({ kind: 'text', text }, { kind: 'action', text: action.trim() });
    at = close + 2;
  }
}

/** JSON with Go's key order (the value's own), bigint as numbers, without escaping for HTML. */
export function toJson(value: unknown): string {
  return JSON.stringify(value, (_key, v: unknown) => {
    if (typeof v === 'bigint') return Number(v);
    if (v instanceof Map) return Object.fromEntries([...v].toSorted(([a], [b]) => (a < b ? -1 : 1)));
    return v;
  });
}

function show(value: unknown): string {
  if (value === undefined || value === null) return '<no value>';
  if (Array.isArray(value)) return `[${value.map(show).join(' ')}]`;
  return typeof value === 'object' ? toJson(value) : String(value);
}

/** Go names fields in upper case, their JSON names begin in lower case: both reach the value. */
function field(scope: unknown, name: string): unknown {
  if (typeof scope !== 'object' || scope === null) throw invalidArgument(`can't evaluate field ${name}`);
  if (scope instanceof Map) return scope.get(name);
  const record = scope as Record<string, unknown>;
  const wanted = name.toLowerCase();
  const key =
    Object.keys(record).find((k) => k === name) ?? Object.keys(record).find((k) => k.toLowerCase() === wanted);
  if (key === undefined) throw invalidArgument(`can't evaluate field ${name}`);
  return record[key];
}

function evaluate(expression: string, scope: unknown): unknown {
  const text = expression.trim();
  if (text === '.') return scope;
  if (/^(\.[A-Za-z_]\w*)+$/.test(text)) return text.slice(1).split('.').reduce(field, scope);
  if (/^"([^"\\]|\\.)*"$/.test(text)) return JSON.parse(text);
  const call = /^(json|len|println|print)\s+(.+)$/.exec(text);
  if (call === null) throw invalidArgument(`template: :1: unexpected ${JSON.stringify(text)} in command`);
  const argument = evaluate(call[2], scope);
  if (call[1] === 'json') return toJson(argument);
  if (call[1] === 'len') {
    return argument instanceof Map ? argument.size : ((argument as { length?: number } | undefined)?.length ?? 0);
  }
  return `${show(argument)}${call[1] === 'println' ? '\n' : ''}`;
}

function truthy(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0;
  if (value instanceof Map) return value.size > 0;
  return Boolean(value);
}

/** `json` alone stands for the whole as JSON. Throws for a template that does not parse. */
export function parseTemplate(format: string): Template {
  const list = tokens(format === 'json' ? '{{json .}}' : format);
  let at = 0;
  const block = (inside: boolean): { nodes: Node[]; end: 'end' | 'else' | 'eof' } => {
    const nodes: Node[] = [];
    while (at < list.length) {
      const token = list[at++];
      if (token.kind === 'text') {
        if (token.text !== '') nodes.push(() => token.text);
        continue;
      }
      const [word] = token.text.split(/\s+/, 1);
      if (inside && (word === 'end' || word === 'else')) return { nodes, end: word };
      if (word === 'range' || word === 'if') nodes.push(branch(word, token.text.slice(word.length)));
      else nodes.push((scope) => show(evaluate(token.text, scope)));
    }
    if (inside) throw invalidArgument('template: :1: unexpected EOF');
    return { nodes, end: 'eof' };
  };
  const branch = (word: 'range' | 'if', expression: string): Node => {
    const body = block(true);
    const other = body.end === 'else' ? block(true).nodes : [];
    const run = (nodes: readonly Node[], scope: unknown): string => nodes.map((n) => n(scope)).join('');
    return (scope) => {
      const value = evaluate(expression, scope);
      if (!truthy(value)) return run(other, scope);
      if (word === 'if') return run(body.nodes, scope);
      const items = value instanceof Map ? [...value.values()] : (value as unknown[]);
      return items.map((item) => run(body.nodes, item)).join('');
    };
  };
  const { nodes } = block(false);
  return (value) => nodes.map((n) => n(value)).join('');
}
