/** What a user can pass to a target: arguments, secrets and agents, with where they are asked for (subrequest frontend.outline). */
import type { LineRange } from '../located-error.ts';
import type { Stage } from '../instructions/index.ts';
import type { GlobalArg } from './variables.ts';

type Location = readonly LineRange[];

export interface OutlineArg {
  readonly name: string;
  readonly description: string;
  readonly value: string;
  readonly location: Location;
}

export interface OutlineMount {
  readonly name: string;
  readonly required: boolean;
  readonly location: Location;
}

export interface Outline {
  readonly stage: Stage;
  readonly args: readonly OutlineArg[];
  readonly secrets: readonly OutlineMount[];
  readonly ssh: readonly OutlineMount[];
}

/** What one stage asks for while it is lowered. */
export class StageOutline {
  readonly #args = new Map<string, OutlineArg & { readonly deps: ReadonlySet<string> }>();
  readonly #used = new Set<string>();
  readonly secrets = new Map<string, OutlineMount>();
  readonly ssh = new Map<string, OutlineMount>();

  /** For a stage that builds upon this one. */
  inherited(): StageOutline {
    const outline = new StageOutline();
    for (const [name, arg] of this.#args) outline.#args.set(name, arg);
    outline.use(this.#used);
    for (const mount of this.secrets.values()) outline.addMount('secrets', mount);
    for (const mount of this.ssh.values()) outline.addMount('ssh', mount);
    return outline;
  }

  addGlobals(args: ReadonlyMap<string, GlobalArg>): void {
    for (const [name, { definition, value = '', location, deps }] of args) {
      this.#args.set(name, { name, description: definition.description, value, location, deps });
    }
  }

  addArg(arg: OutlineArg): void {
    this.#args.set(arg.name, { ...arg, deps: new Set() });
    this.#used.add(arg.name);
  }

  use(names: Iterable<string>): void {
    for (const name of names) this.#used.add(name);
  }

  /** The first to ask decides. */
  addMount(kind: 'secrets' | 'ssh', mount: OutlineMount): void {
    if (!this[kind].has(mount.name)) this[kind].set(mount.name, mount);
  }

  /** Those that are used, and those that their values are made of. */
  usedArgs(): OutlineArg[] {
    const names = new Set(this.#used);
    // A set that grows is walked to its end.
    for (const name of names) for (const dep of this.#args.get(name)?.deps ?? []) names.add(dep);
    return [...names].flatMap((name) => this.#args.get(name) ?? []);
  }
}

function inOrder<T extends { readonly location: Location }>(found: Iterable<T>): T[] {
  return [...found].toSorted((a, b) => (a.location[0]?.start ?? 0) - (b.location[0]?.start ?? 0));
}

/** Of a target and the stages that it is made of; `stages` are those, the target first. */
export function outlineOf(stage: Stage, stages: Iterable<{ readonly outline: StageOutline }>): Outline {
  const args = new Map<string, OutlineArg>();
  const secrets = new Map<string, OutlineMount>();
  const ssh = new Map<string, OutlineMount>();
  for (const { outline } of stages) {
    for (const arg of outline.usedArgs()) if (!args.has(arg.name)) args.set(arg.name, arg);
    for (const [name, mount] of outline.secrets) if (!secrets.has(name)) secrets.set(name, mount);
    for (const [name, mount] of outline.ssh) if (!ssh.has(name)) ssh.set(name, mount);
  }
  return {
    stage,
    args: inOrder(args.values()),
    secrets: inOrder(secrets.values()),
    ssh: inOrder(ssh.values()),
  };
}
