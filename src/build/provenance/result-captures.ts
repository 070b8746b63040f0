import { internal } from '../../base/index.ts';
import { requestArgs } from '../../attest/index.ts';
import type { Capture, ImageMaterial } from '../../attest/index.ts';
import { platformsOf } from '../../exporters/index.ts';
import type { ResultPlatform } from '../../exporters/index.ts';
import { platformMatcher } from '../../oci/index.ts';
import type { BuildResult } from '../../llb/index.ts';
import { refsOf } from '../bridge.ts';
import type { LazyRef } from '../lazy-ref.ts';
import type { InputProducers } from './input-producers.ts';
import type { MadeRef, RequestScope } from './request-scope.ts';

type LazyResult = BuildResult<LazyRef | undefined>;

/** How each ref of a result was made; undefined for an empty one. */
export interface ResultCaptures {
  readonly ref: Capture | undefined;
  readonly refs: ReadonlyMap<string, Capture | undefined>;
}

/** What the ref's own steps tell, with the request that it was made for. */
function ownCapture(made: MadeRef, scope: RequestScope, producers: InputProducers): Capture | undefined {
  const capture = made.capture?.clone();
  const { request } = scope;
  if (capture === undefined || request === undefined) return capture;
  capture.request = {
    frontend: request.frontend,
    args: requestArgs(request.options),
    inputs: producers.inputsOf(request),
    root: producers.rootOf(scope, capture),
  };
  return capture;
}

/** Of images that were looked at for every platform of the result only those of this one. */
function imagesFor(
  id: string,
  images: readonly ImageMaterial[],
  platforms: readonly ResultPlatform[],
): readonly ImageMaterial[] {
  const current = platforms.find((p) => p.id === id)?.platform;
  if (current === undefined) return images;
  const matchers = platforms.map(({ platform }) => platformMatcher(platform, { exact: true }));
  const isForAll = (ref: string): boolean =>
    matchers.every((matcher) =>
      images.some((i) => i.ref === ref && i.platform !== undefined && matcher.match(i.platform)),
    );
  const forAll = new Map([...new Set(images.map((i) => i.ref))].map((ref) => [ref, isForAll(ref)]));
  return images.filter(({ ref, platform }) => {
    if (platform === undefined || forAll.get(ref) !== true) return true;
    return platform.os === current.os && platform.architecture === current.architecture;
  });
}

class Captures {
  readonly #scope: RequestScope;
  readonly #producers: InputProducers;
  readonly #platforms: readonly ResultPlatform[];
  readonly #ofResult: ReadonlySet<MadeRef>;

  constructor(result: LazyResult, scope: RequestScope, producers: InputProducers) {
    this.#scope = scope;
    this.#producers = producers;
    this.#platforms = platformsOf(result);
    this.#ofResult = new Set(refsOf(result).map((ref) => ref.made));
  }

  /** With what the frontend evaluated or looked at on its way; '' is a result without platforms. */
  of(ref: LazyRef | undefined, id: string): Capture | undefined {
    if (ref === undefined) return undefined;
    const scope = this.#scope.find(ref.made);
    if (scope === undefined) throw internal('could not find request for ref');
    const capture = ownCapture(ref.made, scope, this.#producers);
    if (capture === undefined) return undefined;
    const seen = new Set([...this.#ofResult, ref.made]);
    for (const made of scope.allMade()) {
      if (seen.has(made)) continue;
      seen.add(made);
      const other = ownCapture(made, scope, this.#producers);
      if (other !== undefined) capture.merge(other);
    }
    for (const image of imagesFor(id, scope.allImages(), this.#platforms)) capture.addMaterial(image);
    capture.tidy();
    return capture;
  }
}

/** After everything was evaluated. */
export function captureResult(result: LazyResult, scope: RequestScope, producers: InputProducers): ResultCaptures {
  const captures = new Captures(result, scope, producers);
  return {
    ref: captures.of(result.ref, ''),
    refs: new Map([...(result.refs ?? [])].map(([id, ref]) => [id, captures.of(ref, id)])),
  };
}
