/** File operations, chained: each works on what the one before it left. */
import type { StateValues } from './state-values.ts';
import type { Output } from './vertex.ts';

/** As much of a state as a file operation needs. */
export interface FileBase {
  readonly output: Output | undefined;
  readonly values: StateValues;
}

/** uid or name each; `owner('app:1000')` reads the text form. */
export interface Owner {
  readonly user?: number | string;
  readonly group?: number | string;
}

export interface NodeOptions {
  readonly owner?: Owner;
  /** Nanoseconds since 1970. */
  readonly createdTime?: bigint;
}

export interface MkdirOptions extends NodeOptions {
  readonly makeParents?: boolean;
}

export interface RmOptions {
  readonly allowNotFound?: boolean;
  readonly allowWildcard?: boolean;
}

export interface CopyOptions extends NodeOptions {
  /** Bits, or a text like `u+x`; undefined keeps the source's. */
  readonly mode?: number | string;
  readonly followSymlinks?: boolean;
  readonly copyDirContentsOnly?: boolean;
  readonly includePatterns?: readonly string[];
  readonly excludePatterns?: readonly string[];
  readonly requiredPaths?: readonly string[];
  readonly attemptUnpack?: boolean;
  readonly createDestPath?: boolean;
  readonly allowWildcard?: boolean;
  readonly allowEmptyWildcard?: boolean;
  readonly alwaysReplaceExistingDestPaths?: boolean;
}

export type ActionKind =
  | { readonly kind: 'mkdir'; readonly path: string; readonly mode: number; readonly options: MkdirOptions }
  | {
      readonly kind: 'mkfile';
      readonly path: string;
      readonly mode: number;
      readonly data: Uint8Array;
      readonly options: NodeOptions;
    }
  | { readonly kind: 'symlink'; readonly oldPath: string; readonly newPath: string; readonly options: NodeOptions }
  | { readonly kind: 'rm'; readonly path: string; readonly options: RmOptions }
  | {
      readonly kind: 'copy';
      readonly source: CopySource;
      readonly src: string;
      readonly dest: string;
      readonly options: CopyOptions;
    };

/** A state, or what file operations on a state would leave. */
export type CopySource = FileBase | BoundAction;

export class FileAction {
  readonly action: ActionKind;
  readonly previous: FileAction | undefined;

  constructor(action: ActionKind, previous?: FileAction) {
    this.action = action;
    this.previous = previous;
  }

  mkdir(path: string, mode: number, options: MkdirOptions = {}): FileAction {
    return new FileAction({ kind: 'mkdir', path, mode, options }, this);
  }
  mkfile(path: string, mode: number, data: Uint8Array | string, options: NodeOptions = {}): FileAction {
    return new FileAction({ kind: 'mkfile', path, mode, data: Buffer.from(data), options }, this);
  }
  symlink(oldPath: string, newPath: string, options: NodeOptions = {}): FileAction {
    return new FileAction({ kind: 'symlink', oldPath, newPath, options }, this);
  }
  rm(path: string, options: RmOptions = {}): FileAction {
    return new FileAction({ kind: 'rm', path, options }, this);
  }
  copy(source: CopySource, src: string, dest: string, options: CopyOptions = {}): FileAction {
    return new FileAction({ kind: 'copy', source, src, dest, options }, this);
  }

  /** The operations on that state as something to copy from. */
  withState(state: FileBase): BoundAction {
    return { base: state, action: this };
  }
}

export interface BoundAction {
  readonly base: FileBase;
  readonly action: FileAction;
}

export function mkdir(path: string, mode: number, options: MkdirOptions = {}): FileAction {
  return new FileAction({ kind: 'mkdir', path, mode, options });
}
export function mkfile(path: string, mode: number, data: Uint8Array | string, options: NodeOptions = {}): FileAction {
  return new FileAction({ kind: 'mkfile', path, mode, data: Buffer.from(data), options });
}
export function symlink(oldPath: string, newPath: string, options: NodeOptions = {}): FileAction {
  return new FileAction({ kind: 'symlink', oldPath, newPath, options });
}
export function rm(path: string, options: RmOptions = {}): FileAction {
  return new FileAction({ kind: 'rm', path, options });
}
export function copy(source: CopySource, src: string, dest: string, options: CopyOptions = {}): FileAction {
  return new FileAction({ kind: 'copy', source, src, dest, options });
}

function userOf(text: string): number | string {
  if (text === 'root') return 0;
  return /^[+-]?\d+$/.test(text) && Math.abs(Number(text)) <= 0x7fffffff ? Number(text) : text;
}

/** `user[:group]`, each a number or a name. */
export function owner(text: string): Owner {
  const colon = text.indexOf(':');
  if (colon < 0) return { user: userOf(text) };
  return { user: userOf(text.slice(0, colon)), group: userOf(text.slice(colon + 1)) };
}
