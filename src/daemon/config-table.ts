import { invalidArgument } from '../base/index.ts';
import type { DiskSpace } from '../workers/index.ts';
import { parseDurationNs, parseDiskSpace } from './units.ts';

/** One table of the file, read key by key with its path in every error. */
export class Table {
  readonly #values: Readonly<Record<string, unknown>>;
  readonly #path: string;

  constructor(values: unknown, path: string) {
    if (values !== undefined && (typeof values !== 'object' || values === null || Array.isArray(values))) {
      throw invalidArgument(`invalid config: ${path} must be a table`);
    }
    this.#values = (values ?? {}) as Record<string, unknown>;
    this.#path = path;
  }

  #get<T>(key: string, kind: string, accept: (v: unknown) => v is T): T | undefined {
    const value = this.#values[key];
    if (value === undefined) return undefined;
    if (!accept(value)) throw invalidArgument(`invalid config: ${this.at(key)} must be ${kind}`);
    return value;
  }

  at(key: string): string {
    return this.#path === '' ? key : `${this.#path}.${key}`;
  }

  table(key: string): Table {
    return new Table(this.#values[key], this.at(key));
  }

  has(key: string): boolean {
    return this.#values[key] !== undefined;
  }

  string(key: string): string | undefined {
    return this.#get(key, 'a string', (v) => typeof v === 'string');
  }

  bool(key: string): boolean | undefined {
    return this.#get(key, 'a boolean', (v) => typeof v === 'boolean');
  }

  int(key: string): number | undefined {
    return this.#get(key, 'an integer', (v): v is number => typeof v === 'number' && Number.isSafeInteger(v));
  }

  strings(key: string): readonly string[] {
    const isStrings = (v: unknown): v is string[] => Array.isArray(v) && v.every((x) => typeof x === 'string');
    return this.#get(key, 'a list of strings', isStrings) ?? [];
  }

  tables(key: string): readonly Table[] {
    const value = this.#values[key];
    if (value === undefined) return [];
    if (!Array.isArray(value)) throw invalidArgument(`invalid config: ${this.at(key)} must be a list of tables`);
    return value.map((v, i) => new Table(v, `${this.at(key)}[${i}]`));
  }

  entries(): readonly [string, Table][] {
    return Object.keys(this.#values).map((k) => [k, this.table(k)]);
  }

  stringMap(): Map<string, string> {
    return new Map(Object.keys(this.#values).map((k) => [k, this.string(k) ?? '']));
  }

  /** Text or a bare number, as Go's UnmarshalText takes both. */
  scalar(key: string): string | undefined {
    const isScalar = (v: unknown): v is string | number => typeof v === 'string' || typeof v === 'number';
    const value = this.#get(key, 'text or a number', isScalar);
    return value === undefined ? undefined : String(value);
  }

  diskSpace(...keys: readonly string[]): DiskSpace | undefined {
    for (const key of keys) {
      const text = this.scalar(key);
      if (text !== undefined && text !== '') return parseDiskSpace(text);
    }
    return undefined;
  }

  durationNs(key: string): bigint | undefined {
    const text = this.scalar(key);
    return text === undefined || text === '' ? undefined : parseDurationNs(text);
  }
}
