/** `RUN --mount=…` becomes mounts, secrets and agents of an exec op. */
import { mkdir, scratch } from '../../../llb/index.ts';
import type { RunMount, SecretOptions, SshOptions, State } from '../../../llb/index.ts';
import { resolvePath } from '../../../systems/index.ts';
import { baseName, cleanPath, joinPath, quote } from '../go-text.ts';
import type { Mount } from '../instructions/index.ts';
import { textError } from '../located-error.ts';
import type { Lowering } from './lowering.ts';
import type { StageState } from './stage-state.ts';

export interface LoweredMounts {
  readonly mounts: RunMount[];
  readonly secrets: SecretOptions[];
  readonly ssh: SshOptions[];
}

const hasOwner = (mount: Mount): boolean =>
  mount.uid !== undefined || mount.gid !== undefined || mount.mode !== undefined;

const ownerOf = (mount: Mount, mode: number): { uid?: number; gid?: number; mode?: number } =>
  hasOwner(mount) ? { uid: mount.uid ?? 0, gid: mount.gid ?? 0, mode: mount.mode ?? mode } : {};

/** Empty where none is given. */
const targetOf = (stage: StageState, mount: Mount): string =>
  mount.target === '' ? '' : stage.system.paths.withoutDrive(mount.target, false);

function lowerSecret(stage: StageState, mount: Mount): SecretOptions {
  const given = targetOf(stage, mount);
  const id = mount.source || mount.id || (given === '' ? '' : baseName(given));
  if (id === '') throw textError('one of source, target required');
  const target = given || (mount.env === undefined ? `/run/secrets/${baseName(id)}` : undefined);
  return { id, target, env: mount.env, optional: !mount.required, ...ownerOf(mount, 0o400) };
}

function lowerSsh(stage: StageState, mount: Mount): SshOptions {
  if (mount.source !== '') throw textError('ssh does not support source');
  return {
    id: mount.id || undefined,
    target: targetOf(stage, mount) || undefined,
    optional: !mount.required,
    ...ownerOf(mount, 0o600),
  };
}

/** A cache that belongs to somebody starts as a folder of theirs. */
function ownedCache(source: State, mount: Mount): State {
  const owner = { user: mount.uid ?? 0, group: mount.gid ?? 0 };
  return source.file(mkdir('/cache', mount.mode ?? 0o755, { owner }), {
    customName: '[internal] setting cache mount permissions',
  });
}

function lowerMount(stage: StageState, mount: Mount, source: StageState | undefined, lowering: Lowering): RunMount {
  let state = lowering.context;
  if (source !== undefined) {
    if (!source.dispatched) {
      throw textError(
        `cannot mount from stage ${quote(mount.from || 'scratch')} to ${quote(mount.target)}, stage needs to be defined before current command`,
      );
    }
    state = source.state;
  }
  if (mount.type === 'tmpfs') state = scratch();
  const { paths } = stage.system;
  const target = resolvePath(paths, stage.state.getDir(), mount.target, false);
  if (target === '/') throw textError(`invalid mount target ${quote(target)}`);
  const selector = joinPath('/', resolvePath(paths, '/', mount.source, false));
  const owned = selector === '/' && hasOwner(mount);
  if (owned) state = ownedCache(state, mount);
  const cache =
    mount.type === 'cache'
      ? {
          id: `${lowering.options.cacheNamespace}/${mount.id || cleanPath(mount.target)}`,
          sharing: mount.sharing || ('shared' as const),
        }
      : undefined;
  if (source === undefined) stage.contextPaths.add(selector);
  else source.paths.add(selector);
  return {
    target,
    source: state,
    selector: owned ? '/cache' : selector === '/' ? undefined : selector,
    readonly: mount.readOnly,
    noOutput: !mount.readOnly && mount.type === 'bind' && lowering.caps.has('exec.mount.bind.readwrite-nooutput'),
    cache,
    tmpfs: mount.type === 'tmpfs' ? { size: Number(mount.sizeLimit) } : undefined,
  };
}

/** `sources` holds the stage of each mount; the one of a mount that names none is only used for caches. */
export function lowerMounts(
  stage: StageState,
  mounts: readonly Mount[],
  sources: readonly StageState[],
  lowering: Lowering,
): LoweredMounts {
  const lowered: LoweredMounts = { mounts: [], secrets: [], ssh: [] };
  for (const [i, mount] of mounts.entries()) {
    if (mount.type === 'secret') lowered.secrets.push(lowerSecret(stage, mount));
    else if (mount.type === 'ssh') lowered.ssh.push(lowerSsh(stage, mount));
    else {
      const source = mount.from !== '' || mount.type === 'cache' ? sources[i] : undefined;
      lowered.mounts.push(lowerMount(stage, mount, source, lowering));
    }
  }
  return lowered;
}
