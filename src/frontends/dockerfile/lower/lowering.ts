/** What the lowering of every instruction needs to know. */
import type { SourceLocation, SourceMap, State } from '../../../llb/index.ts';
import type { Platform } from '../../../oci/index.ts';
import type { PatternMatcher } from '../../../files/index.ts';
import type { LineRange } from '../located-error.ts';
import { toWireRanges } from '../located-error.ts';
import type { Linter } from '../lint/index.ts';
import type { Options } from '../options.ts';
import type { LexOptions } from '../parse/index.ts';
import type { StageList } from './stage-state.ts';
import type { Variables } from './variables.ts';

export interface Platforms {
  readonly target: Platform;
  readonly build: Platform;
  /** No platform was asked for: the base image's will do. */
  readonly implicit: boolean;
}

export interface Lowering {
  readonly options: Options;
  readonly buildArgs: ReadonlyMap<string, string>;
  readonly caps: ReadonlySet<string>;
  readonly sourceMap: SourceMap;
  readonly lex: LexOptions;
  readonly linter: Linter;
  readonly platforms: Platforms;
  readonly globalArgs: Variables;
  readonly stages: StageList;
  /** Known once the base images are. */
  ignore: PatternMatcher | undefined;
  /** Known only when all steps have said what they need of it. */
  readonly context: State;
  /** Seconds since 1970. */
  readonly epoch: bigint | undefined;
}

export function locations(lowering: Lowering, ranges: readonly LineRange[]): readonly SourceLocation[] {
  return [{ map: lowering.sourceMap, ranges: toWireRanges(ranges) }];
}

/** `created` of histories and images. */
export function epochText(epoch: bigint | undefined): string | undefined {
  return epoch === undefined ? undefined : new Date(Number(epoch) * 1000).toISOString().replace('.000Z', 'Z');
}
