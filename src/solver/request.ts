/** Somebody who wants the result of an edge. */
import { abortReason, throwIfAborted } from '../base/index.ts';
import type { KeyedResult } from './cached-result.ts';
import { Level } from './edge/edge-state.ts';
import type { SharedEdge, Waiter } from './edge/shared-edge.ts';
import type { CachedResult, Edge } from './types.ts';

class Request implements Waiter {
  readonly level = Level.COMPLETE;
  readonly result: Promise<CachedResult>;
  readonly #edge: Edge;
  #node: SharedEdge;
  #resolve!: (result: CachedResult) => void;
  #reject!: (error: unknown) => void;

  constructor(node: SharedEdge, edge: Edge) {
    this.#node = node;
    this.#edge = edge;
    this.result = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    node.wait(this);
  }

  moved(to: SharedEdge): void {
    this.#node = to;
  }

  wake(): void {
    const { phase } = this.#node.state;
    if (phase.kind === 'done') {
      this.#resolve((phase.result as KeyedResult).fork(this.#edge));
      this.#node.unwait(this);
    } else if (phase.kind === 'failed') this.fail(phase.error);
  }

  fail(error: unknown): void {
    this.#reject(error);
    this.#node.unwait(this);
  }
}

/** The result is the caller's; `edge` is how it was asked for. Rejects as soon as `signal` aborts. */
export async function resultOf(node: SharedEdge, edge: Edge, signal: AbortSignal): Promise<CachedResult> {
  throwIfAborted(signal);
  const request = new Request(node, edge);
  const onAbort = (): void => request.fail(abortReason(signal));
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await request.result;
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
