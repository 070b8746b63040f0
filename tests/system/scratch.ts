/** The temporary folder of a test file, and what the builds in it start from. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { mustRun, run } from './process.ts';

export const project = join(import.meta.dirname, '../..');

/** Why the system tests cannot run here, or false. */
export const cannotRun: string | false =
  process.getuid?.() !== 0
    ? 'needs root'
    : ['/usr/bin/runc', '/usr/sbin/runc', '/usr/local/bin/runc', '/usr/local/sbin/runc'].some((f) => existsSync(f))
      ? false
      : 'needs runc';

export function mountsBelow(folder: string): string[] {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .filter((point) => point.startsWith(`${folder}/`));
}

export interface Scratch {
  readonly folder: string;
  /** Arguments that give a build the image `busybox`, made on the spot. */
  readonly busybox: readonly string[];
  /** Removes the folder, and unmounts first what a broken daemon left in it. */
  remove(): Promise<void>;
}

export async function makeScratch(): Promise<Scratch> {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'buildkit-system-')));
  await mustRun(join(project, 'scripts/ensure-built.sh'), [project], 60_000);
  writeFileSync(join(folder, 'buildkitd.toml'), '');
  const layout = join(folder, 'busybox');
  const digest = (await mustRun(join(project, 'scripts/make-busybox-layout.sh'), [layout])).trim();
  return {
    folder,
    busybox: ['--oci-layout', `busybox=${layout}`, '--opt', `context:busybox=oci-layout://busybox@${digest}`],
    async remove() {
      for (const mount of mountsBelow(folder).toReversed()) await run('umount', ['--lazy', mount]);
      if (mountsBelow(folder).length === 0) rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Writes the files of a build context (paths to texts) and gives the arguments of a build of it. */
export function writeContext(folder: string, files: Readonly<Record<string, string>>): string[] {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  return buildArguments(folder);
}

export function buildArguments(context: string): string[] {
  const local = ['--local', `context=${context}`, '--local', `dockerfile=${context}`];
  return ['build', '--progress', 'plain', '--frontend', 'dockerfile.v0', ...local];
}
