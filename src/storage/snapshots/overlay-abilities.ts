import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Code, logger, randomId, toBuildError } from '../../base/index.ts';
import type { StorageKernel } from '../kernel.ts';

/** What overlays need here, and what they can do. */
export interface OverlayAbilities {
  /** Their xattrs are in the user namespace. */
  readonly userxattr: boolean;
  /** They can leave out writing to the disk when they are unmounted (Linux 5.10). */
  readonly volatile: boolean;
}

const ABILITIES: readonly OverlayAbilities[] = [
  { userxattr: false, volatile: true },
  { userxattr: false, volatile: false },
  { userxattr: true, volatile: true },
  { userxattr: true, volatile: false },
];

export function abilityOptions({ userxattr, volatile }: OverlayAbilities, writable: boolean): string[] {
  return [...(userxattr ? ['userxattr'] : []), ...(volatile && writable ? ['volatile'] : [])];
}

/** Says nothing of what works there: another snapshotter would not know of what is kept. */
function refuseFullDisk(error: unknown): void {
  if (toBuildError(error).code === Code.ResourceExhausted) throw error;
}

/** The best with which an overlay whose writable layer is below `root` works. undefined: none. */
export async function probeOverlay(
  root: string,
  kernel: Pick<StorageKernel, 'mount' | 'unmount'>,
): Promise<OverlayAbilities | undefined> {
  const directory = join(root, `probe-${randomId()}`);
  const [lower, below, upper, work, merged] = ['l1', 'l2', 'u', 'w', 'm'].map((name) => join(directory, name)) as [
    string,
    string,
    string,
    string,
    string,
  ];
  try {
    for (const path of [lower, below, upper, work, merged]) mkdirSync(path, { recursive: true });
    for (const abilities of ABILITIES) {
      const options = [
        'index=off',
        ...abilityOptions(abilities, true),
        `workdir=${work}`,
        `upperdir=${upper}`,
        `lowerdir=${lower}:${below}`,
      ];
      try {
        await kernel.mount([{ type: 'overlay', source: 'overlay', options }], merged);
      } catch (error) {
        refuseFullDisk(error);
        logger.debug('overlayfs does not mount', { error, ...abilities });
        continue;
      }
      try {
        writeFileSync(join(merged, 'file'), '');
        return abilities;
      } catch (error) {
        refuseFullDisk(error);
        logger.debug('overlayfs cannot be written to', { error, ...abilities });
      } finally {
        await kernel.unmount(merged);
      }
    }
    return undefined;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
