/** Names and values, in the order in which they were set first. */
import { formatPlatform, formatPlatformShort } from '../../../oci/index.ts';
import type { Platform } from '../../../oci/index.ts';
import type { ArgDefinition, CommandOf } from '../instructions/index.ts';
import { withLocation } from '../located-error.ts';
import { systemOf, variableKey } from '../../../systems/index.ts';
import type { EnvironmentRules } from '../../../systems/index.ts';
import { expandWord } from '../parse/index.ts';
import type { Env, LexOptions } from '../parse/index.ts';

/** Immutable. A name that is set again may be written differently where the system does not look at its case. */
export class Variables implements Env {
  readonly #rules: EnvironmentRules;
  #byKey: ReadonlyMap<string, readonly [name: string, value: string]>;

  constructor(
    values: Iterable<readonly [string, string]> = [],
    rules: EnvironmentRules = systemOf('linux').environment,
  ) {
    this.#rules = rules;
    this.#byKey = new Map([...values].map(([name, value]) => [this.#key(name), [name, value]]));
  }

  #key(name: string): string {
    return variableKey(this.#rules, name);
  }

  /** As it was written. */
  nameOf(name: string): string | undefined {
    return this.#byKey.get(this.#key(name))?.[0];
  }

  get(name: string): string | undefined {
    return this.#byKey.get(this.#key(name))?.[1];
  }

  keys(): readonly string[] {
    return Array.from(this.#byKey.values(), ([name]) => name);
  }

  with(name: string, value: string): Variables {
    return this.#changed((byKey) => byKey.set(this.#key(name), [name, value]));
  }

  without(name: string): Variables {
    return this.#changed((byKey) => byKey.delete(this.#key(name)));
  }

  #changed(change: (byKey: Map<string, readonly [string, string]>) => void): Variables {
    const byKey = new Map(this.#byKey);
    change(byKey);
    const variables = new Variables([], this.#rules);
    variables.#byKey = byKey;
    return variables;
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
