import { BuildError, Code } from '../base/index.ts';

/** A source policy put something else in an image's place. */
export class NotAnImage extends BuildError {
  /** What stands there now, with its scheme. */
  readonly identifier: string;

  constructor(ref: string, identifier: string) {
    super(Code.Unknown, `ref mutated by policy to non-image: docker-image://${ref} -> ${identifier}`);
    this.identifier = identifier;
  }
}
