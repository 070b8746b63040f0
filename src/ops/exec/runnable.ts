import { BuildError, Code } from '../../base/index.ts';
import { formatPlatform } from '../../oci/index.ts';
import type { Platform } from '../../oci/index.ts';
import { quote } from './quote.ts';

/**
 * Throws FailedPrecondition for a process of Windows where no worker runs any: its system could only say that there is no `cmd`.
 * `platforms` are those of the worker. Other systems are not looked at: a program of Linux may run in a root that says otherwise.
 */
export function checkRunnable(args: readonly string[], platform: Platform, platforms: readonly Platform[]): void {
  if (platform.os !== 'windows' || platforms.some((p) => p.os === 'windows')) return;
  const systems = [...new Set(platforms.map((p) => p.os))].join(', ');
  throw new BuildError(
    Code.FailedPrecondition,
    `process ${quote(args.join(' '))} is for ${formatPlatform(platform)}: only a Windows worker, a buildkitd on Windows, ` +
      `could run it, and this worker runs processes of ${systems}`,
  );
}
