/** The daemon's log, in logrus' text or JSON form. Lines are cut so that no client can fill the log with one message. */
import { formatTime, nowNs } from './clock.ts';

export const LEVELS = ['panic', 'fatal', 'error', 'warning', 'info', 'debug', 'trace'] as const;
export type Level = (typeof LEVELS)[number];
export type Fields = Readonly<Record<string, unknown>>;

const MAX_FIELD = 4096;

let threshold = LEVELS.indexOf('info');
let json = false;
let write: (line: string) => void = (line) => void process.stderr.write(line);

export function configureLog(options: {
  level?: Level;
  format?: 'text' | 'json';
  write?: (line: string) => void;
}): void {
  if (options.level !== undefined) threshold = LEVELS.indexOf(options.level);
  if (options.format !== undefined) json = options.format === 'json';
  if (options.write !== undefined) write = options.write;
}

/** Accepts logrus' spellings (`warn`, any case); undefined when it is none. */
export function parseLevel(text: string): Level | undefined {
  const lower = text.toLowerCase();
  const name = lower === 'warn' ? 'warning' : lower;
  return LEVELS.find((l) => l === name);
}

function cut(text: string): string {
  return text.length <= MAX_FIELD ? text : `${text.slice(0, MAX_FIELD)}… (${text.length} characters)`;
}

function textOf(value: unknown): string {
  if (value instanceof Error) return cut(value.message);
  if (typeof value === 'string') return cut(value);
  if (typeof value === 'object' && value !== null)
    return cut(JSON.stringify(value, (_k, v) => (typeof v === 'bigint' ? v.toString() : v)));
  return cut(String(value));
}

function quote(text: string): string {
  return /^[A-Za-z0-9\-._/@^+]+$/.test(text) ? text : JSON.stringify(text);
}

export function log(level: Level, message: string, fields: Fields = {}): void {
  if (LEVELS.indexOf(level) > threshold) return;
  const time = formatTime(nowNs());
  if (json) {
    const entry: Record<string, string> = {};
    for (const [k, v] of Object.entries(fields)) entry[k] = textOf(v);
    write(`${JSON.stringify({ ...entry, level, msg: cut(message), time })}\n`);
    return;
  }
  let line = `time=${JSON.stringify(time)} level=${level} msg=${quote(cut(message))}`;
  for (const [k, v] of Object.entries(fields)) line += ` ${k}=${quote(textOf(v))}`;
  write(`${line}\n`);
}

export const logger = {
  error: (message: string, fields?: Fields) => log('error', message, fields),
  warn: (message: string, fields?: Fields) => log('warning', message, fields),
  info: (message: string, fields?: Fields) => log('info', message, fields),
  debug: (message: string, fields?: Fields) => log('debug', message, fields),
  trace: (message: string, fields?: Fields) => log('trace', message, fields),
};
