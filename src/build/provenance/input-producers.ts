import { describeRequest, requestArgs } from '../../attest/index.ts';
import type { Parameters, RequestFacts, Sources } from '../../attest/index.ts';
import { headDigest } from '../../llb/index.ts';
import type { Definition } from '../../proto/ops.pb.ts';
import { readGitUrl } from './read-git-url.ts';
import type { FrontendRequest, MadeRef, RequestScope } from './request-scope.ts';

const NO_SOURCES: Sources = { images: [], blobs: [], git: [], http: [], local: [] };

/** Requests whose results others take as inputs, known by the definitions of those: of all builds that are running. */
export class InputProducers {
  readonly #byHead = new Map<string, Set<RequestFacts>>();

  /** Until the returned function is called. */
  add(definition: Definition, facts: RequestFacts): () => void {
    const head = headDigest(definition);
    if (head === undefined) return () => {};
    const known = this.#byHead.get(head) ?? new Set();
    this.#byHead.set(head, known.add(facts));
    return () => {
      known.delete(facts);
      if (known.size === 0 && this.#byHead.get(head) === known) this.#byHead.delete(head);
    };
  }

  /** undefined when nobody made it, or several requests did that are not the same. */
  #find(definition: Definition): RequestFacts | undefined {
    const head = headDigest(definition);
    const all = head === undefined ? [] : [...(this.#byHead.get(head) ?? [])].map(withoutRoot);
    const [first] = all;
    return first !== undefined && all.every((other) => sameFacts(first, other)) ? first : undefined;
  }

  inputsOf(request: FrontendRequest): ReadonlyMap<string, RequestFacts> | undefined {
    const found = new Map<string, RequestFacts>();
    for (const [name, definition] of request.inputs) {
      const facts = this.#find(definition);
      if (facts !== undefined) found.set(name, facts);
    }
    return found.size === 0 ? undefined : found;
  }

  #describe(request: FrontendRequest, sources: Sources): RequestFacts {
    const facts = describeRequest(request.frontend, requestArgs(request.options), sources, readGitUrl);
    const inputs = this.inputsOf(request);
    return inputs === undefined ? facts : { ...facts, request: { ...facts.request, inputs } };
  }

  /** What the client asked for, when that is not what the scope's frontend was asked for. */
  rootOf(scope: RequestScope, sources: Sources): RequestFacts | undefined {
    if (scope.rootRequest === undefined || scope.request === undefined) return undefined;
    const root = this.#describe(scope.rootRequest, sources);
    const { frontend, args, inputs } = root.request;
    if (frontend === '' && args.size === 0 && inputs === undefined) return undefined;
    return sameFacts(root, this.#describe(scope.request, sources)) ? undefined : root;
  }

  /** The request of that scope, for those who take its result as an input. */
  factsOf(scope: RequestScope, ref: MadeRef): RequestFacts | undefined {
    if (scope.request === undefined) return undefined;
    const sources = ref.capture ?? NO_SOURCES;
    const facts = this.#describe(scope.request, sources);
    const root = this.rootOf(scope, sources);
    return root === undefined ? facts : { ...facts, request: { ...facts.request, root } };
  }
}

function withoutRoot({ configSource, request }: RequestFacts): RequestFacts {
  return { configSource, request: { ...request, root: undefined } };
}

function sameMap<T>(
  a: ReadonlyMap<string, T> | undefined,
  b: ReadonlyMap<string, T> | undefined,
  same: (x: T, y: T) => boolean,
): boolean {
  if ((a?.size ?? 0) !== (b?.size ?? 0)) return false;
  return [...(a ?? [])].every(([key, value]) => {
    const other = b?.get(key);
    return other !== undefined && same(value, other);
  });
}

const sameText = (a: string, b: string): boolean => a === b;

function sameParameters(a: Parameters, b: Parameters): boolean {
  const sameRoot = a.root === undefined || b.root === undefined ? a.root === b.root : sameFacts(a.root, b.root);
  return (
    sameRoot && a.frontend === b.frontend && sameMap(a.args, b.args, sameText) && sameMap(a.inputs, b.inputs, sameFacts)
  );
}

function sameFacts(a: RequestFacts, b: RequestFacts): boolean {
  const { configSource: x } = a;
  const { configSource: y } = b;
  const sameSource = (x.uri ?? '') === (y.uri ?? '') && (x.path ?? '') === (y.path ?? '');
  return sameSource && sameMap(x.digest, y.digest, sameText) && sameParameters(a.request, b.request);
}
