/** The stages of a file become stage states: FROM expanded, named contexts put in their place, steps counted. */
import { toBuildError } from '../../../base/index.ts';
import { checkOsVersion, parsePlatform } from '../../../oci/index.ts';
import type { Stage } from '../instructions/index.ts';
import { RULES } from '../lint/index.ts';
import type { Linter } from '../lint/index.ts';
import { prefixError, textError, withLocation } from '../located-error.ts';
import type { NamedContexts } from '../named-context.ts';
import { expandWord } from '../parse/index.ts';
import type { Expansion } from '../parse/index.ts';
import { suggest, withSuggestion } from '../suggest.ts';
import { contextPaths } from './context-paths.ts';
import type { Lowering } from './lowering.ts';
import { StageState } from './stage-state.ts';

const COUNTED = new Set(['add', 'copy', 'run', 'workdir']);

class StagePlanner {
  readonly #stage: Stage;
  readonly #lowering: Lowering;
  readonly #declared: readonly string[];
  readonly #linter: Linter;
  readonly #used = new Set<string>();

  constructor(stage: Stage, declared: readonly string[], lowering: Lowering) {
    this.#stage = stage;
    this.#declared = declared;
    this.#lowering = lowering;
    this.#linter = lowering.linter.withComments(stage.comments);
  }

  #expand(text: string): Expansion {
    const expanded = expandWord(text, this.#lowering.globalArgs, this.#lowering.lex);
    for (const name of expanded.matched) this.#used.add(name);
    for (const name of expanded.unmatched) {
      if (this.#declared.includes(name)) continue;
      const hint = suggest(name, this.#declared, true) ?? '';
      this.#linter.run(RULES.undefinedArgInFrom, this.#stage.location, name, hint);
    }
    return expanded;
  }

  plan(): StageState {
    const { baseName, platform, location } = this.#stage;
    try {
      const base = this.#expand(baseName).text;
      if (base === '') throw textError(`base name (${baseName}) should not be blank`);
      const state = new StageState({ ...this.#stage, baseName: base });
      if (platform !== '') this.#setPlatform(state, platform);
      state.outline.use(this.#used);
      return state;
    } catch (error) {
      throw withLocation(error, location);
    }
  }

  #setPlatform(state: StageState, written: string): void {
    let expanded: Expansion;
    try {
      expanded = this.#expand(written);
    } catch (error) {
      throw prefixError(error, `failed to process arguments for platform ${written}`);
    }
    const { text, matched, unmatched } = expanded;
    const { globalArgs } = this.#lowering;
    const { location, stageName } = this.#stage;
    const isTarget = text === globalArgs.get('TARGETPLATFORM');
    if (matched.size === 1 && unmatched.size === 0 && matched.has('TARGETPLATFORM') && isTarget) {
      this.#linter.run(RULES.redundantTargetPlatform, location, written);
    }
    const hinted = (error: unknown): Error => {
      const [name = ''] = unmatched;
      return withSuggestion(toBuildError(error), name, globalArgs.keys(), true);
    };
    if (text === '') throw hinted(textError(`empty platform value from expression ${written}`));
    try {
      const platform = parsePlatform(text);
      checkOsVersion(platform);
      state.platform = platform;
    } catch (error) {
      // Shown twice, as upstream does: once more where the stage is planned.
      throw withLocation(prefixError(hinted(error), `failed to parse platform ${written}`), location);
    }
    const { os, architecture } = state.platform;
    const isConstant = matched.size === 0 && unmatched.size === 0;
    if (isConstant && !stageName.includes(os) && !stageName.includes(architecture)) {
      this.#linter.run(RULES.fromPlatformFlagConstDisallowed, location, text);
    }
  }
}

/** Fills `lowering.stages`. `declared` are the names of global arguments. */
export function planStages(
  stages: readonly Stage[],
  declared: readonly string[],
  lowering: Lowering,
  named: NamedContexts,
): void {
  const known = [...new Set([...declared, ...lowering.globalArgs.keys()])];
  for (const [i, stage] of stages.entries()) {
    const state = new StagePlanner(stage, known, lowering).plan();
    if (stage.stageName !== '') {
      const platform = state.platform ?? lowering.platforms.target;
      state.namedContext = named.find({ name: stage.stageName, platform, paths: () => contextPaths(state.paths) });
    } else state.name = `stage-${i}`;
    lowering.stages.add(state);
    if (state.namedContext !== undefined) {
      state.base = undefined;
      continue;
    }
    const hasFrom = state.baseName !== 'scratch' && state.base === undefined;
    state.stepTotal = (hasFrom ? 1 : 0) + stage.commands.filter((c) => COUNTED.has(c.kind)).length;
    state.ignoreCache = lowering.options.noCache(stage.stageName);
  }
}
