/** Names and values, in the order in which they were set. */
import { formatPlatform, formatPlatformShort } from '../../../oci/index.ts';
import type { Platform } from '../../../oci/index.ts';
import type { ArgDefinition, CommandOf } from '../instructions/index.ts';
import { withLocation } from '../located-error.ts';
import { expandWord } from '../parse/index.ts';
import type { Env, LexOptions } from '../parse/index.ts';

/** Immutable. */
export class Variables implements Env {
  readonly #values: ReadonlyMap<string, string>;

  constructor(values: Iterable<readonly [string, string]> = []) {
    this.#values = new Map(values);
  }

  get(name: string): string | undefined {
    return this.#values.get(name);
  }

  keys(): readonly string[] {
    return [...this.#values.keys()];
  }

  with(name: string, value: string): Variables {
    return new Variables([...this.#values, [name, value]]);
  }

  without(name: string): Variables {
    return new Variables([...this.#values].filter(([key]) => key !== name));
  }
}

/** The arguments that every build has. */
export function platformArgs(
  build: Platform,
  target: Platform,
  stage: string,
  overrides: ReadonlyMap<string, string>,
): Variables {
  const values: readonly (readonly [string, string])[] = [
    ['BUILDPLATFORM', formatPlatformShort(build)],
    ['BUILDOS', build.os],
    ['BUILDOSVERSION', build.osVersion ?? ''],
    ['BUILDARCH', build.architecture],
    ['BUILDVARIANT', build.variant ?? ''],
    ['TARGETPLATFORM', formatPlatform(target)],
    ['TARGETOS', target.os],
    ['TARGETOSVERSION', target.osVersion ?? ''],
    ['TARGETARCH', target.architecture],
    ['TARGETVARIANT', target.variant ?? ''],
    ['TARGETSTAGE', stage === '' ? 'default' : stage],
  ];
  return new Variables(values.map(([key, value]) => [key, overrides.get(key) ?? value]));
}

export interface GlobalArg {
  readonly definition: ArgDefinition;
  readonly location: CommandOf<'arg'>['location'];
  /** Of other global arguments, by name. */
  readonly deps: ReadonlySet<string>;
  readonly value?: string;
}

/** ARG before the first FROM. */
export function globalArgs(
  start: Variables,
  commands: readonly CommandOf<'arg'>[],
  buildArgs: ReadonlyMap<string, string>,
  lex: LexOptions,
): { values: Variables; all: ReadonlyMap<string, GlobalArg> } {
  let values = start;
  const all = new Map<string, GlobalArg>();
  for (const { args, location } of commands) {
    for (const definition of args) {
      const deps = new Set<string>();
      let value = buildArgs.get(definition.key);
      if (value === undefined && definition.value !== undefined) {
        try {
          const expanded = expandWord(definition.value, values, lex);
          value = expanded.text;
          for (const name of expanded.matched) {
            if (name !== definition.key) deps.add(name);
            else for (const dep of all.get(name)?.deps ?? []) deps.add(dep);
          }
        } catch (error) {
          throw withLocation(error, location);
        }
      }
      if (value !== undefined) values = values.with(definition.key, value);
      all.set(definition.key, { definition, location, deps, value });
    }
  }
  return { values, all };
}
