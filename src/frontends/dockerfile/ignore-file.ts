/** The lines of a .dockerignore as patterns. */
import { cleanPath, trimSpace } from './go-text.ts';
import { textError } from './located-error.ts';

const MAX_LINE_BYTES = 65_536;

function pattern(line: string): string {
  const clean = cleanPath(line);
  return clean.length > 1 && clean.startsWith('/') ? clean.slice(1) : clean;
}

export function parseIgnoreFile(bytes: Uint8Array): string[] {
  const patterns: string[] = [];
  for (const line of new TextDecoder().decode(bytes).split('\n')) {
    if (line.length >= MAX_LINE_BYTES) throw textError('bufio.Scanner: token too long');
    if (line.startsWith('#')) continue;
    const text = trimSpace(line);
    if (text === '') continue;
    if (!text.startsWith('!')) patterns.push(pattern(text));
    else {
      const taken = trimSpace(text.slice(1));
      patterns.push(`!${taken === '' ? '' : pattern(taken)}`);
    }
  }
  return patterns;
}
