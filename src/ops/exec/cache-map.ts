import { posix } from 'node:path';
import { invalidArgument } from '../../base/index.ts';
import { goJson } from '../../oci/index.ts';
import type { Platform } from '../../oci/types.ts';
import { MountContentCache, MountType } from '../../proto/ops.pb.ts';
import type { ExecOp } from '../../proto/ops.pb.ts';
import type { CacheMap, CacheMapDep, JobContext, Result } from '../../solver/types.ts';
import type { ContentHasher } from '../../storage/types.ts';
import { sha256 } from '../op-digest.ts';
import { refOf } from '../ref-result.ts';
import { execJson } from './exec-json.ts';
import { contentDep } from '../content-dep.ts';

interface InputUse {
  selectors: string[];
  byContent: boolean;
}

/** Content counts alone where a mount cannot pass on more of its input than it shows; the root file system never asks for it. */
function usesOf(op: ExecOp, inputs: number): InputUse[] {
  const uses = Array.from({ length: inputs }, (): InputUse => ({ selectors: [], byContent: false }));
  for (const mount of op.mounts) {
    const { mountType } = mount;
    if (mountType === MountType.SECRET || mountType === MountType.SSH || mountType === MountType.TMPFS) continue;
    if (mount.input === -1n) continue;
    const use = uses[Number(mount.input)];
    if (use === undefined) throw invalidArgument(`invalid mountinput ${mount.input}`);
    const selector = posix.resolve('/', `./${mount.selector}`);
    use.selectors.push(selector);
    const isSafe = mount.output === -1n || mount.readonly || selector === '/';
    if (mount.contentCache === MountContentCache.OFF) use.byContent = false;
    else if (mount.contentCache === MountContentCache.ON) {
      if (!isSafe) throw invalidArgument(`invalid mount cache content ${mount.dest}`);
      use.byContent = true;
    } else use.byContent = isSafe && mount.dest !== '/';
  }
  return uses;
}

/** Each path once, without those below another; the whole stands for all. */
function contentPaths(selectors: readonly string[]): string[] {
  const all = [...new Set(selectors)];
  const isBelow = (path: string): boolean =>
    all.some((other) => other !== path && path.startsWith(other.endsWith('/') ? other : `${other}/`));
  return all.filter((path) => !isBelow(path)).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
}

/** `name` is the step's. */
export function execCacheMap(
  hasher: ContentHasher,
  op: ExecOp,
  platform: Platform,
  inputs: number,
  name: string,
): CacheMap {
  const deps = usesOf(op, inputs).map(({ selectors, byContent }, input): CacheMapDep => {
    const read = contentPaths(selectors).map((path) => ({ path, followLinks: path !== '/' }));
    return {
      ...(selectors.length > 0 ? { selector: sha256(selectors.join('\0')) } : {}),
      ...(byContent ? contentDep(hasher, read, `${name} ${input}`) : {}),
      async preprocess(result: Result, context: JobContext) {
        await refOf(result)?.unlazy(context);
      },
    };
  });
  const { os, architecture, variant, osVersion, osFeatures } = platform;
  const text = (name: string, value = ''): string => (value === '' ? '' : `,"${name}":${goJson(value)}`);
  const features = osFeatures?.length ? `,"OSFeatures":[${osFeatures.map((f) => goJson(f)).join(',')}]` : '';
  const ending = `${text('Variant', variant)}${text('OSVersion', osVersion)}${features}`;
  const json = `{"Type":"buildkit.exec.v0","Exec":${execJson(op)},"OS":${goJson(os)},"Arch":${goJson(architecture)}${ending}}`;
  return { digest: sha256(json), deps };
}
