/** The promise of a definition's result: nothing runs until somebody asks, and then once for everybody. */
import { BuildError, abortable, canceled, jsonDetail, toBuildError } from '../base/index.ts';
import type { Capture } from '../attest/index.ts';
import { sourceInfoJson } from '../llb/index.ts';
import type { Definition } from '../proto/ops.pb.ts';
import type { CachedResult } from '../solver/index.ts';
import { refOf } from '../ops/index.ts';
import type { ImmutableRef } from '../storage/types.ts';
import type { MadeRef } from './provenance/request-scope.ts';

/** `onCapture` is told how the result was made. */
export type Evaluate = (
  definition: Definition,
  signal: AbortSignal,
  onCapture: (capture: Capture) => void,
) => Promise<CachedResult>;

interface Evaluation {
  readonly result: Promise<CachedResult>;
  readonly abort: AbortController;
}

/** Counted: every {@link fork} needs its own {@link release}; the last one stops or releases the evaluation. */
export class LazyRef {
  /** The same for all owners. */
  readonly made: MadeRef;
  readonly #evaluate: Evaluate;
  readonly #shared: { owners: number; evaluation: Evaluation | undefined };
  #released = false;

  constructor(definition: Definition, evaluate: Evaluate, shared?: LazyRef) {
    this.made = shared === undefined ? { definition, capture: undefined } : shared.made;
    this.#evaluate = evaluate;
    this.#shared = shared === undefined ? { owners: 0, evaluation: undefined } : shared.#shared;
    this.#shared.owners++;
  }

  get definition(): Definition {
    return this.made.definition;
  }

  fork(): LazyRef {
    return new LazyRef(this.definition, this.#evaluate, this);
  }

  /** The result stays this ref's. Rejects with the source locations of the failed vertex among the error's details. */
  async result(signal?: AbortSignal): Promise<CachedResult> {
    if (this.#released) throw new Error('lazy ref used after its release');
    let evaluation = this.#shared.evaluation;
    if (evaluation === undefined) {
      const abort = new AbortController();
      const { made } = this;
      const onCapture = (capture: Capture): void => void (made.capture = capture);
      const result = this.#evaluate(made.definition, abort.signal, onCapture).catch((error: unknown) => {
        throw withSources(toBuildError(error), made.definition);
      });
      result.catch(() => {});
      this.#shared.evaluation = evaluation = { result, abort };
    }
    if (signal === undefined) return evaluation.result;
    return abortable(evaluation.result, signal);
  }

  /** The snapshot, undefined for scratch. It stays this ref's. */
  async immutable(signal?: AbortSignal): Promise<ImmutableRef | undefined> {
    return refOf(await this.result(signal));
  }

  async release(): Promise<void> {
    if (this.#released) return;
    this.#released = true;
    if (--this.#shared.owners > 0) return;
    const evaluation = this.#shared.evaluation;
    if (evaluation === undefined) return;
    evaluation.abort.abort(canceled());
    const result = await evaluation.result.catch(() => undefined);
    await result?.release();
  }
}

/** Adds errdefs.Source for each location that the definition knows of the failed vertex (upstream: solver/errdefs/source.go). */
export function withSources(error: BuildError, definition: Definition): BuildError {
  const vertex = error.findDetail('errdefs.Vertex') as { digest?: string } | undefined;
  const source = definition.Source;
  if (vertex?.digest === undefined || source === undefined) return error;
  let result = error;
  // Clients show the innermost first: the last one that was given.
  for (const location of source.locations.get(vertex.digest)?.locations.toReversed() ?? []) {
    const info = source.infos[location.sourceIndex];
    if (info === undefined) continue;
    result = result.withDetail(
      jsonDetail('errdefs.Source', {
        info: sourceInfoJson(info),
        ranges: location.ranges.map((r) => ({ start: position(r.start), end: position(r.end) })),
      }),
    );
  }
  return result;
}

function position(p: { line: number; character: number } | undefined): object | undefined {
  return p === undefined ? undefined : { line: p.line || undefined, character: p.character || undefined };
}
