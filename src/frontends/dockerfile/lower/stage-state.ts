/** A stage while it becomes a state: what its instructions have made so far, and what it takes from others. */
import { scratch } from '../../../llb/index.ts';
import type { ConstraintOptions, State } from '../../../llb/index.ts';
import type { Platform } from '../../../oci/index.ts';
import { systemOf } from '../../../systems/index.ts';
import type { System } from '../../../systems/index.ts';
import type { ArgDefinition, Command, Stage } from '../instructions/index.ts';
import type { LineRange } from '../located-error.ts';
import { textError } from '../located-error.ts';
import type { NamedContext } from '../named-context.ts';
import { cloneImage } from './image.ts';
import type { Image } from './image.ts';
import { StageOutline } from './outline.ts';
import { Variables } from './variables.ts';

/** An instruction and the stages that it takes files from; for RUN one for each mount. */
export interface PlannedCommand {
  readonly command: Command;
  readonly sources: readonly StageState[];
  readonly onbuild: boolean;
}

const NO_IMAGE: Image = { config: {}, history: [] };

export class StageState {
  readonly stage: Stage;
  /** Shown in step names; differs from the stage's own for those that have none. */
  name: string;
  /** The reference in full once it is resolved. */
  baseName: string;
  /** The stage that this one builds upon. */
  base: StageState | undefined;
  readonly deps = new Map<StageState, Command>();
  commands: PlannedCommand[] = [];
  namedContext: NamedContext | undefined;
  platform: Platform | undefined;
  state: State = scratch();
  env = new Variables();
  image: Image = cloneImage(NO_IMAGE);
  /** As it was pulled. */
  baseImage: Image | undefined;
  buildArgs: ArgDefinition[] = [];
  outline = new StageOutline();
  /** What it needs of the build context. */
  readonly contextPaths = new Set<string>();
  /** What others need of it; shared with the stages that build upon it. */
  paths = new Set<string>();
  ignoreCache = false;
  /** Made for a `--from` that names no stage. */
  readonly implicit: boolean;
  resolved = false;
  dispatched = false;
  onbuildDone = false;
  /** A WORKDIR of this file stands before. */
  workdirSet = false;
  stepIndex = 0;
  stepTotal = 0;
  inOnbuild = false;
  /** Where an instruction of which only the last counts stood last. */
  readonly last = new Map<'cmd' | 'entrypoint' | 'healthcheck', readonly LineRange[]>();

  constructor(stage: Stage, implicit = false) {
    this.stage = stage;
    this.name = stage.stageName;
    this.baseName = stage.baseName;
    this.implicit = implicit;
  }

  /** Takes over what the stage below has made. */
  inherit(): void {
    const { base } = this;
    if (base === undefined) return;
    this.state = base.state;
    this.env = base.env;
    this.platform = base.platform;
    this.image = cloneImage(base.image);
    this.image.config.OnBuild = undefined;
    this.baseImage = base.baseImage && cloneImage(base.baseImage);
    this.paths = base.paths;
    this.workdirSet = base.workdirSet;
    this.buildArgs.push(...base.buildArgs);
    this.outline = base.outline.inherited();
  }

  /** What holds for its paths, variables and shell. */
  get system(): System {
    return systemOf(this.platform?.os);
  }

  /**
   * For steps with files: a layer on nothing does not follow from what is below. What names the version that it runs on is an
   * image for it; `windows/amd64` from scratch is a folder of programs, plain files for whoever takes them out (so upstream, always).
   */
  filesFor(): Pick<ConstraintOptions, 'filesFor'> {
    const { platform } = this;
    if (platform?.osVersion === undefined || !this.state.isScratch || this.system.layers.standAlone) return {};
    const { os, architecture } = platform;
    return { filesFor: { os, architecture } };
  }

  setEnv(key: string, value: string): void {
    const before = this.env.nameOf(key);
    const state = before === undefined || before === key ? this.state : this.state.removeEnv(before);
    this.state = state.addEnv(key, value);
    this.env = this.env.with(key, value);
  }
}

export function implicitStage(baseName: string, location: readonly LineRange[]): StageState {
  const stage: Stage = {
    kind: 'from',
    name: '',
    code: '',
    location,
    comments: [],
    stageName: '',
    baseName,
    platform: '',
    description: '',
    commands: [],
  };
  return new StageState(stage, true);
}

/** The stages of a build in order, and by name: a later one hides an earlier one of its name. */
export class StageList {
  readonly all: StageState[] = [];
  readonly #byName = new Map<string, StageState>();

  add(stage: StageState): void {
    this.all.push(stage);
    stage.base = this.#byName.get(stage.baseName);
    if (stage.stage.stageName !== '') this.#byName.set(stage.stage.stageName, stage);
  }

  names(): string[] {
    return this.all.map((s) => s.name).filter((name) => name !== '');
  }

  find(name: string): StageState | undefined {
    return this.#byName.get(name.toLowerCase());
  }

  /** Throws when there is none. */
  at(index: number): StageState {
    const found = this.all[index];
    if (found === undefined) throw textError(`invalid stage index ${index}`);
    return found;
  }
}

/** The stage, and all that it needs. */
export function reachableStages(top: StageState): Set<StageState> {
  const found = new Set([top]);
  for (const stage of found) {
    if (stage.base !== undefined) found.add(stage.base);
    for (const dep of stage.deps.keys()) found.add(dep);
  }
  return found;
}
