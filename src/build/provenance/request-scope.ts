import type { Capture, ImageMaterial } from '../../attest/index.ts';
import type { Definition } from '../../proto/ops.pb.ts';

/** A request to a frontend, as provenance tells of it. */
export interface FrontendRequest {
  readonly frontend: string;
  readonly options: ReadonlyMap<string, string>;
  readonly inputs: ReadonlyMap<string, Definition>;
}

/** The identity of a ref over all its owners, with what is known of how it was made. */
export interface MadeRef {
  readonly definition: Definition;
  /** undefined until it is evaluated. */
  capture: Capture | undefined;
}

/** It says something: an empty one is what clients send that are frontends themselves. */
function isTelling({ frontend, options, inputs }: FrontendRequest): boolean {
  return frontend !== '' || options.size > 0 || inputs.size > 0;
}

/**
 * What was made and asked for on behalf of one request to a frontend. The scopes of a build are a tree: at its root is the
 * client, which has asked no frontend for its refs.
 */
export class RequestScope {
  /** undefined at the root. */
  readonly request: FrontendRequest | undefined;
  /** The outermost request that says something. */
  readonly #root: FrontendRequest | undefined;
  readonly #made: MadeRef[] = [];
  readonly #inner: RequestScope[] = [];
  readonly #images: ImageMaterial[] = [];

  private constructor(request: FrontendRequest | undefined, root: FrontendRequest | undefined) {
    this.request = request;
    this.#root = root;
  }

  /** For a build that a client began with that request. */
  static ofBuild(solve: FrontendRequest): RequestScope {
    return new RequestScope(undefined, solve);
  }

  /** It counts once it is {@link adopt}ed. */
  inner(request: FrontendRequest): RequestScope {
    return new RequestScope(request, this.rootRequest ?? this.request);
  }

  get rootRequest(): FrontendRequest | undefined {
    return this.#root !== undefined && isTelling(this.#root) ? this.#root : undefined;
  }

  addMade(...refs: readonly MadeRef[]): void {
    this.#made.push(...refs);
  }

  /** The request was answered. */
  adopt(inner: RequestScope): void {
    this.#inner.push(inner);
  }

  addImage(image: ImageMaterial): void {
    this.#images.push(image);
  }

  /** The innermost scope in which the ref was made. */
  find(ref: MadeRef): RequestScope | undefined {
    for (const inner of this.#inner) {
      const found = inner.find(ref);
      if (found !== undefined) return found;
    }
    return this.#made.includes(ref) ? this : undefined;
  }

  /** Everything that was made in here; a ref may come several times. */
  *allMade(): Generator<MadeRef> {
    yield* this.#made;
    for (const inner of this.#inner) yield* inner.allMade();
  }

  /** Images that frontends looked into. */
  allImages(): ImageMaterial[] {
    return [...this.#images, ...this.#inner.flatMap((inner) => inner.allImages())];
  }
}
