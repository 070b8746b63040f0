import { logger } from '../../base/index.ts';
import { parseCsv } from '../attributes.ts';

/** Terminal colours of the rows; undefined: none. Values are SGR sequences. */
export interface Palette {
  readonly run?: string;
  readonly cancel?: string;
  readonly error?: string;
  readonly warning?: string;
}

const NAMES = ['black', 'red', 'green', 'yellow', 'blue', 'magenta', 'cyan', 'white'];
const sgr = (code: string | number): string => `\x1b[${code}m`;

function namedColor(name: string): string | undefined {
  if (name === 'default') return sgr(39);
  const light = name.startsWith('light-');
  const at = NAMES.indexOf(light ? name.slice('light-'.length) : name);
  return at < 0 ? undefined : sgr((light ? 90 : 30) + at);
}

function rgbColor(value: string): string | undefined {
  const parts = value.split(',');
  if (parts.length !== 3) return undefined;
  const numbers = parts.map(Number);
  if (!parts.every((p) => /^\d+$/.test(p)) || !numbers.every((n) => n <= 255)) return undefined;
  // The 216-colour cube of 8-bit terminals.
  const [r, g, b] = numbers.map((n) => Math.floor((n / 256) * 6));
  return sgr(`38;5;${16 + 36 * r + 6 * g + b}`);
}

/** `run=,cancel=,error=,warning=` separated by colons, from $BUILDKIT_COLORS; a set $NO_COLOR wins. */
export function readPalette(env: Readonly<Record<string, string | undefined>>): Palette {
  if (env.NO_COLOR) return {};
  const palette: { -readonly [K in keyof Palette]: Palette[K] } = {
    run: namedColor('blue'),
    cancel: namedColor('yellow'),
    error: namedColor('red'),
    warning: namedColor('yellow'),
  };
  if (!env.BUILDKIT_COLORS) return palette;
  let fields: string[];
  try {
    fields = parseCsv(env.BUILDKIT_COLORS, ':');
  } catch {
    logger.warn('could not parse BUILDKIT_COLORS. Falling back to defaults.');
    return palette;
  }
  for (const field of fields) {
    const parts = field.split('=');
    const [key, value] = [parts[0].toLowerCase(), parts[1] ?? ''];
    const color = namedColor(value.toLowerCase()) ?? rgbColor(value);
    if (parts.length !== 2) logger.warn(`Could not parse BUILDKIT_COLORS component: ${field}`);
    else if (color === undefined) logger.warn(`Unknown color value found in BUILDKIT_COLORS: ${key}=${value}`);
    else if (key === 'run' || key === 'cancel' || key === 'error' || key === 'warning') palette[key] = color;
    else logger.warn(`Unknown key found in BUILDKIT_COLORS (expected: run, cancel, error, or warning): ${key}`);
  }
  return palette;
}
