/** Small files of /proc and of cgroups. */
import { readFileSync } from 'node:fs';

/** Undefined where the kernel, or that group, has no such file. */
export function readKernelFile(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // EOPNOTSUPP: pressure is compiled in but switched off.
    if (code === 'ENOENT' || code === 'EOPNOTSUPP' || code === 'ENOTSUP') return undefined;
    throw error;
  }
}

/** Lines of `name value`, with or without a colon and a unit. */
export function keyedNumbers(text: string): ReadonlyMap<string, number> {
  const found = new Map<string, number>();
  for (const [, name, value] of text.matchAll(/^(\S+?):?\s+(\d+)(?:\s+kB)?$/gm)) found.set(name, Number(value));
  return found;
}

export interface Pressure {
  readonly some: PressureValues | null;
  readonly full: PressureValues | null;
}

export interface PressureValues {
  readonly avg10: number | null;
  readonly avg60: number | null;
  readonly avg300: number | null;
  /** Microseconds. */
  readonly total: number | null;
}

/** Documentation/accounting/psi.rst of the kernel. */
export function readPressure(path: string): Pressure | undefined {
  const text = readKernelFile(path);
  if (text === undefined) return undefined;
  const values = (kind: string): PressureValues | null => {
    const line = new RegExp(`^${kind} (.*)$`, 'm').exec(text)?.[1];
    if (line === undefined) return null;
    const fields = new Map(line.split(' ').map((field) => field.split('=') as [string, string]));
    const number = (name: string): number | null => {
      const value = fields.get(name);
      return value === undefined ? null : Number(value);
    };
    return { avg10: number('avg10'), avg60: number('avg60'), avg300: number('avg300'), total: number('total') };
  };
  return { some: values('some'), full: values('full') };
}
