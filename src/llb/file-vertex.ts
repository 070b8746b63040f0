import { posix } from 'node:path';
import type { ChownOpt, FileAction as PbAction, FileOp, Input, UserOpt } from '../proto/ops.pb.ts';
import { platformToPb, startOp } from './constraints.ts';
import type { ConstraintOptions } from './constraints.ts';
import type { ActionKind, BoundAction, CopySource, FileAction, FileBase, NodeOptions, Owner } from './file-action.ts';
import { addInput, finishVertex } from './vertex.ts';
import type { MarshalContext, MarshalledVertex, Output, VertexNode } from './vertex.ts';

/** An action and the state that it works on. Without `previous` it stands at the start of a chain. */
interface Step {
  readonly action: ActionKind;
  readonly base: FileBase;
  readonly previous: Step | undefined;
  /** For copies from other actions. */
  readonly source: Step | undefined;
}

const isBound = (source: CopySource): source is BoundAction => 'action' in source;

/** All steps that `last` needs, each after what it needs. */
function stepsOf(last: FileAction, base: FileBase): Step[] {
  const steps: Step[] = [];
  const known = new Map<FileAction, Map<FileBase, Step>>();
  const visit = (action: FileAction, on: FileBase): Step => {
    const chain: FileAction[] = [];
    let previous: Step | undefined;
    for (let a: FileAction | undefined = action; a !== undefined; a = a.previous) {
      previous = known.get(a)?.get(on);
      if (previous !== undefined) break;
      chain.push(a);
    }
    for (const a of chain.toReversed()) {
      const copied = a.action.kind === 'copy' && isBound(a.action.source) ? a.action.source : undefined;
      const source = copied && visit(copied.action, copied.base);
      const step: Step = { action: a.action, base: on, previous, source };
      const byBase = known.get(a) ?? new Map<FileBase, Step>();
      known.set(a, byBase.set(on, step));
      steps.push(step);
      previous = step;
    }
    return previous as Step;
  };
  visit(last, base);
  return steps;
}

/** Absolute and clean; `keepSlash` keeps what says "directory" at the end: `/` and `/.`. */
export function normalizePath(parent: string, path: string, keepSlash: boolean): string {
  let p = clean(path);
  if (!posix.isAbsolute(p)) p = clean(posix.join('/', parent, p));
  if (!keepSlash) return p;
  if (path.endsWith('/') && !p.endsWith('/')) return `${p}/`;
  if (path.endsWith('/.')) return p === '/' ? '/.' : `${p}/.`;
  return p;
}

/** As Go's path.Clean: no slash at the end. */
function clean(path: string): string {
  const p = posix.normalize(path === '' ? '.' : path);
  return p.length > 1 && p.endsWith('/') ? p.slice(0, -1) : p;
}

const time = (options: NodeOptions): bigint => options.createdTime ?? -1n;

function user(value: number | string | undefined, base: bigint): UserOpt | undefined {
  if (value === undefined) return undefined;
  if (typeof value === 'number') return { user: { $case: 'byID', value: value >>> 0 } };
  return {
    user: value === '' ? { $case: 'byID', value: 0 } : { $case: 'byName', value: { name: value, input: base } },
  };
}

function chown(owner: Owner | undefined, base: bigint): ChownOpt | undefined {
  return owner && { user: user(owner.user, base), group: user(owner.group, base) };
}

function toPb(action: ActionKind, dir: string, base: bigint): NonNullable<PbAction['action']> {
  switch (action.kind) {
    case 'mkdir': {
      const { path, mode, options } = action;
      const common = { path: normalizePath(dir, path, false), mode: mode & 0o777, timestamp: time(options) };
      return {
        $case: 'mkdir',
        value: { ...common, makeParents: options.makeParents ?? false, owner: chown(options.owner, base) },
      };
    }
    case 'mkfile': {
      const { path, mode, data, options } = action;
      const common = { path: normalizePath(dir, path, false), mode: mode & 0o777, timestamp: time(options) };
      return { $case: 'mkfile', value: { ...common, data: Buffer.from(data), owner: chown(options.owner, base) } };
    }
    case 'symlink': {
      const { oldPath, newPath, options } = action;
      return {
        $case: 'symlink',
        value: { oldpath: oldPath, newpath: newPath, owner: chown(options.owner, base), timestamp: time(options) },
      };
    }
    case 'rm': {
      const { allowNotFound = false, allowWildcard = false } = action.options;
      return { $case: 'rm', value: { path: normalizePath(dir, action.path, false), allowNotFound, allowWildcard } };
    }
    case 'copy':
      return copyToPb(action, dir, base);
  }
}

function copyToPb(action: ActionKind & { kind: 'copy' }, dir: string, base: bigint): NonNullable<PbAction['action']> {
  const { options: o } = action;
  const from = isBound(action.source) ? action.source.base : action.source;
  const src = clean(action.src);
  return {
    $case: 'copy',
    value: {
      src: clean(posix.isAbsolute(src) ? src : posix.join('/', from.values.dir, src)),
      dest: normalizePath(dir, action.dest, true),
      owner: chown(o.owner, base),
      mode: o.mode === undefined ? -1 : typeof o.mode === 'number' ? o.mode : 0,
      followSymlink: o.followSymlinks ?? false,
      dirCopyContents: o.copyDirContentsOnly ?? false,
      attemptUnpackDockerCompatibility: o.attemptUnpack ?? false,
      createDestPath: o.createDestPath ?? false,
      allowWildcard: o.allowWildcard ?? false,
      allowEmptyWildcard: o.allowEmptyWildcard ?? false,
      timestamp: time(o),
      includePatterns: [...(o.includePatterns ?? [])],
      excludePatterns: [...(o.excludePatterns ?? [])],
      alwaysReplaceExistingDestPaths: o.alwaysReplaceExistingDestPaths ?? false,
      modeStr: typeof o.mode === 'string' ? o.mode : '',
      requiredPaths: [...(o.requiredPaths ?? [])],
    },
  };
}

export class FileVertex implements VertexNode {
  readonly #steps: readonly Step[];
  readonly #options: ConstraintOptions;
  readonly output: Output;

  constructor(base: FileBase, last: FileAction, options: ConstraintOptions) {
    this.#steps = stepsOf(last, base);
    this.#options = options;
    this.output = { vertex: this, index: () => 0 };
  }

  inputs(): readonly Output[] {
    // Upstream walks from the last action back; the order of a definition's ops is part of what clients see.
    const found = new Set<Output>();
    const visit = (from: Step): void => {
      for (let step: Step | undefined = from; step !== undefined; step = step.previous) {
        if (step.base.output !== undefined) found.add(step.base.output);
        if (step.action.kind !== 'copy') continue;
        if (step.source !== undefined) visit(step.source);
        else if (!isBound(step.action.source) && step.action.source.output !== undefined)
          found.add(step.action.source.output);
      }
    };
    visit(this.#steps[this.#steps.length - 1]);
    return [...found];
  }

  marshal(context: MarshalContext): MarshalledVertex {
    const inputs: Input[] = [];
    const index = new Map<Step, number>();
    const placed = this.#steps.map((step, at) => {
      index.set(step, at);
      const place = (output: Output | undefined): number =>
        output === undefined ? -1 : addInput(inputs, context.input(output));
      const base = place(step.base.output);
      const { action } = step;
      const copied = action.kind === 'copy' && !isBound(action.source) ? place(action.source.output) : -1;
      return { step, base, copied };
    });
    const relative = (step: Step): bigint => BigInt(inputs.length + (index.get(step) as number));
    const file: FileOp = { actions: [] };
    for (const [i, { step, base, copied }] of placed.entries()) {
      file.actions.push({
        input: step.previous === undefined ? BigInt(base) : relative(step.previous),
        secondaryInput: step.source === undefined ? BigInt(copied) : relative(step.source),
        output: i + 1 === placed.length ? 0n : -1n,
        action: toPb(step.action, step.base.values.dir, BigInt(base)),
      });
    }
    const { op, metadata } = startOp(context.constraints, this.#options, ['file.base']);
    const { filesFor } = this.#options;
    const platform = filesFor && platformToPb(filesFor);
    const whole = { ...op, platform, inputs, op: { $case: 'file' as const, value: file } };
    return finishVertex(whole, metadata, this.#options.locations);
  }
}
