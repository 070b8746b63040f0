/** SourceOp: content comes from one of sources/, by the scheme of its identifier. */
import { invalidArgument, notFound } from '../base/index.ts';
import type { Platform } from '../oci/types.ts';
import type { JobContext, Op, Result } from '../solver/types.ts';
import type { Source, SourceInstance, SourceRequest } from '../sources/types.ts';
import { sha256 } from './op-digest.ts';
import { RefResult } from './ref-result.ts';

const SESSION_PREFIX = 'session:';
/** Keys that may never be stored or exported (upstream: solver/llbsolver/ops/source.go). */
const RANDOM_PREFIX = 'random:';
const CACHE_TYPE = 'buildkit.source.v0';

export class SourceSet {
  readonly #byScheme = new Map<string, Source>();

  constructor(sources: readonly Source[]) {
    for (const source of sources) for (const scheme of source.schemes) this.#byScheme.set(scheme, source);
  }

  /** Throws InvalidArgument for an identifier without scheme, NotFound for one that nobody serves. */
  find(identifier: string): { source: Source; scheme: string; ref: string } {
    const at = identifier.indexOf('://');
    if (at < 0) throw invalidArgument(`failed to parse ${identifier}: invalid`);
    const scheme = identifier.slice(0, at);
    const source = this.#byScheme.get(scheme);
    if (source === undefined) throw notFound(`unknown scheme ${scheme}`);
    return { source, scheme, ref: identifier.slice(at + 3) };
  }

  request(
    identifier: string,
    attrs: ReadonlyMap<string, string>,
    platform: Platform,
  ): { source: Source; request: SourceRequest } {
    const { source, scheme, ref } = this.find(identifier);
    return { source, request: { scheme, ref, attrs, platform } };
  }
}

export function createSourceOp(
  deps: { sources: SourceSet; workerId: string },
  identifier: string,
  attrs: ReadonlyMap<string, string>,
  platform: Platform,
  slot: (signal: AbortSignal) => Promise<() => void>,
): Op {
  let instance: SourceInstance | undefined;
  const open = (): SourceInstance => {
    if (instance === undefined) {
      const { source, request } = deps.sources.request(identifier, attrs, platform);
      instance = source.resolve(request);
    }
    return instance;
  };
  let pin: string | undefined;
  return {
    async cacheMap(context: JobContext, index: number) {
      const { key, pin: found, done } = await open().cacheKey(context, index);
      pin = found ?? pin;
      const digest = sha256(`${CACHE_TYPE}:${key}`);
      const random = key.startsWith(SESSION_PREFIX);
      return { map: { digest: random ? RANDOM_PREFIX + digest.slice('sha256:'.length) : digest, deps: [] }, done };
    },
    async exec(context: JobContext): Promise<readonly Result[]> {
      return [new RefResult(deps.workerId, await open().snapshot(context))];
    },
    acquire: slot,
    facts: () => (pin === undefined ? undefined : open().facts(pin)),
  };
}
