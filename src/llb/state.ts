import { posix } from 'node:path';
import { configPlatform, normalizePlatform, parseImageConfig } from '../oci/index.ts';
import type { Platform } from '../oci/index.ts';
import type { Definition } from '../proto/ops.pb.ts';
import { DiffVertex, MergeVertex, PassthroughVertex } from './combine-vertices.ts';
import type { ConstraintOptions, MarshalOptions } from './constraints.ts';
import { definitionOutput } from './definition-vertex.ts';
import { ExecVertex } from './exec-vertex.ts';
import type { MountOptions, ProxyEnvOptions, SecretOptions, SshOptions } from './exec-vertex.ts';
import type { FileAction } from './file-action.ts';
import { FileVertex } from './file-vertex.ts';
import { marshalOutput } from './marshal.ts';
import { splitShell } from './shell-words.ts';
import { NO_VALUES, withEnv } from './state-values.ts';
import type { NetworkMode, SecurityModeName, StateValues, Ulimit } from './state-values.ts';
import type { Output } from './vertex.ts';

export interface RunMount extends MountOptions {
  readonly target: string;
  /** Absent: empty. */
  readonly source?: State;
}

export interface RunOptions extends ConstraintOptions {
  readonly args?: readonly string[];
  /** A command line that is split into words as a shell would; no shell runs it. */
  readonly shlex?: string;
  /** A command line for `/bin/sh -c`. */
  readonly shell?: string;
  /** For this step only, as all that follows here. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly user?: string;
  readonly hostname?: string;
  readonly network?: NetworkMode;
  readonly security?: SecurityModeName;
  readonly mounts?: readonly RunMount[];
  readonly secrets?: readonly SecretOptions[];
  readonly ssh?: readonly SshOptions[];
  readonly proxyEnv?: ProxyEnvOptions;
  readonly devices?: readonly { readonly name: string; readonly optional?: boolean }[];
  readonly extraHosts?: readonly { readonly host: string; readonly ip: string }[];
  readonly ulimits?: readonly Ulimit[];
  readonly cgroupParent?: string;
  readonly validExitCodes?: readonly number[];
  readonly readonlyRoot?: boolean;
}

/** A filesystem to be, and settings for the steps that follow. Every call gives a new state. */
export class State {
  /** undefined: scratch. */
  readonly output: Output | undefined;
  readonly values: StateValues;

  private constructor(output: Output | undefined, values: StateValues) {
    this.output = output;
    const platform = output?.platform;
    this.values = platform === undefined ? values : { ...values, platform: normalizePlatform(platform) };
  }

  /** A state with fresh settings. */
  static fromOutput(output: Output | undefined): State {
    return new State(output, NO_VALUES);
  }

  /** Goes on from a frontend's input or the definition of a ref. Throws InvalidArgument. */
  static fromDefinition(definition: Definition): State {
    return State.fromOutput(definitionOutput(definition));
  }

  #with(values: Partial<StateValues>): State {
    const next = { ...this.values, ...values };
    // The constructor would put the output's platform over the one that was set.
    return Object.assign(new State(undefined, next), { output: this.output });
  }

  /** The same settings on another filesystem. */
  withOutput(output: Output | undefined): State {
    return new State(output, this.values);
  }

  get isScratch(): boolean {
    return this.output === undefined;
  }

  /** The settings of another state on this filesystem. */
  reset(settings: State): State {
    return Object.assign(new State(undefined, { ...settings.values, dir: '/' }), { output: this.output });
  }

  dir(path: string): State {
    const dir = posix.isAbsolute(path) ? path : posix.join(this.values.dir || '/', path);
    return this.#with({ dir: posix.isAbsolute(path) || dir === '/' || !dir.endsWith('/') ? dir : dir.slice(0, -1) });
  }
  addEnv(key: string, value: string): State {
    return this.#with({ env: withEnv(this.values.env, key, value) });
  }
  removeEnv(key: string): State {
    const env = new Map(this.values.env);
    env.delete(key);
    return this.#with({ env });
  }
  user(user: string): State {
    return this.#with({ user });
  }
  hostname(hostname: string): State {
    return this.#with({ hostname });
  }
  platform(platform: Platform): State {
    return this.#with({ platform: normalizePlatform(platform) });
  }
  network(network: NetworkMode): State {
    return this.#with({ network });
  }
  security(security: SecurityModeName): State {
    return this.#with({ security });
  }
  addExtraHost(host: string, ip: string): State {
    return this.#with({ extraHosts: [...this.values.extraHosts, { host, ip }] });
  }
  addUlimit(ulimit: Ulimit): State {
    return this.#with({ ulimits: [...this.values.ulimits, ulimit] });
  }
  cgroupParent(cgroupParent: string): State {
    return this.#with({ cgroupParent });
  }

  getDir(): string {
    return this.values.dir;
  }
  getEnv(key: string): string | undefined {
    return this.values.env.get(key);
  }
  getPlatform(): Platform | undefined {
    return this.values.platform;
  }

  /** Environment, directory and platform of an image's config. Throws InvalidArgument. */
  withImageConfig(bytes: Uint8Array): State {
    const image = parseImageConfig(bytes);
    let env = this.values.env;
    for (const pair of image.config?.Env ?? []) {
      const at = pair.indexOf('=');
      const key = at < 0 ? pair : pair.slice(0, at);
      if (key !== '') env = withEnv(env, key, at < 0 ? '' : pair.slice(at + 1));
    }
    const state = this.#with({ env }).dir(image.config?.WorkingDir ?? '');
    return image.architecture && image.os ? state.platform(configPlatform(image)) : state;
  }

  run(options: RunOptions): ExecState {
    const vertex = new ExecVertex(
      runValues(this, options),
      this.output,
      options.readonlyRoot ?? false,
      {
        secrets: options.secrets ?? [],
        ssh: options.ssh ?? [],
        devices: options.devices ?? [],
        ...(options.proxyEnv === undefined ? {} : { proxyEnv: options.proxyEnv }),
      },
      options,
    );
    for (const { target, source, ...rest } of options.mounts ?? []) vertex.addMount(target, source?.output, rest);
    return new ExecState(this.withOutput(vertex.root), vertex);
  }

  file(action: FileAction, options: ConstraintOptions = {}): State {
    return this.withOutput(new FileVertex(this, action, options).output);
  }

  /** This state, but not before the others have been built. */
  requires(id: string, others: readonly State[], options: ConstraintOptions = {}): State {
    if (others.length === 0 || this.output === undefined) return this;
    const inputs = [this, ...others].map((s) => s.output).filter((o) => o !== undefined);
    return this.withOutput(new PassthroughVertex(id, inputs, options).output);
  }

  /** Throws InvalidArgument where a step is not complete. */
  marshal(options: MarshalOptions = {}): Definition {
    return marshalOutput(this.output, options);
  }
}

function runValues(state: State, options: RunOptions): StateValues {
  let settings = state;
  if (options.cwd !== undefined) settings = settings.dir(options.cwd);
  for (const [key, value] of Object.entries(options.env ?? {})) settings = settings.addEnv(key, value);
  const { values } = settings;
  const args =
    options.args ??
    (options.shell === undefined ? undefined : ['/bin/sh', '-c', options.shell]) ??
    (options.shlex === undefined ? undefined : splitShell(options.shlex));
  return {
    ...values,
    args: args ?? values.args,
    user: options.user ?? values.user,
    hostname: options.hostname ?? values.hostname,
    network: options.network ?? values.network,
    security: options.security ?? values.security,
    cgroupParent: options.cgroupParent ?? values.cgroupParent,
    extraHosts: [...values.extraHosts, ...(options.extraHosts ?? [])],
    ulimits: [...values.ulimits, ...(options.ulimits ?? [])],
    ...(options.validExitCodes === undefined ? {} : { validExitCodes: options.validExitCodes }),
  };
}

/** A command that runs: its root, and whatever else it writes. */
export class ExecState {
  readonly root: State;
  readonly #vertex: ExecVertex;

  constructor(root: State, vertex: ExecVertex) {
    this.root = root;
    this.#vertex = vertex;
  }

  /** What the command leaves in that mount. */
  addMount(target: string, source: State, options: MountOptions = {}): State {
    return source.withOutput(this.#vertex.addMount(target, source.output, options));
  }

  getMount(target: string): State {
    return State.fromOutput(this.#vertex.mountOutput(target));
  }
}

export function scratch(): State {
  return State.fromOutput(undefined);
}

/** All of them over one another; scratch adds nothing. */
export function merge(states: readonly State[], options: ConstraintOptions = {}): State {
  const inputs = states.filter((s) => !s.isScratch);
  if (inputs.length === 0) return scratch();
  if (inputs.length === 1) return inputs[0];
  return inputs[0].withOutput(
    new MergeVertex(
      inputs.map((s) => s.output as Output),
      options,
    ).output,
  );
}

/** What `upper` changes of `lower`. */
export function diff(lower: State, upper: State, options: ConstraintOptions = {}): State {
  if (lower.isScratch) return upper.isScratch ? scratch() : upper;
  return lower.withOutput(new DiffVertex(lower.output, upper.output, options).output);
}
