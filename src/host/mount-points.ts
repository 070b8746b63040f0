import { readFileSync } from 'node:fs';

/** Mount points at and below `directory`, in the order of mounting. */
export function mountPoints(directory: string): string[] {
  const base = directory.replace(/\/+$/, '');
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .flatMap((line) => {
      const field = line.split(' ')[4];
      if (field === undefined) return [];
      const at = field.replace(/\\([0-7]{3})/g, (_all, octal: string) => String.fromCharCode(parseInt(octal, 8)));
      return at === base || at.startsWith(`${base}/`) ? [at] : [];
    });
}
