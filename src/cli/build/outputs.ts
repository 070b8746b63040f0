import { createWriteStream, openSync, statSync } from 'node:fs';
import type { Stats } from 'node:fs';
import { invalidArgument, wrapError } from '../../base/index.ts';
import type { ExportEntry } from '../../client/index.ts';
import { parseAttributes, parseBool } from '../attributes.ts';
import { streamOnto } from '../standard-output.ts';
import type { StandardOutput } from '../standard-output.ts';

type Target = Pick<StandardOutput, 'isTTY' | 'write'>;

function existing(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw wrapError(error, `invalid destination file: ${path}`);
  }
}

/** Where an exporter of that type writes; the file is made (and emptied) at once, as upstream's does. */
function destination(
  type: string,
  dest: string,
  attrs: ReadonlyMap<string, string>,
  stdout: Target,
): Pick<ExportEntry, 'output' | 'outputDir'> {
  const archive = type === 'oci' || type === 'docker';
  const asTar = archive && (parseBool(attrs.get('tar') ?? '') ?? true);
  if (type === 'local' || (archive && !asTar)) {
    if (dest === '') throw invalidArgument(`output directory is required for ${type} exporter`);
    return { outputDir: dest };
  }
  if (type === 'tar' || asTar) {
    if (dest !== '' && dest !== '-') {
      if (existing(dest)?.isDirectory() === true) throw invalidArgument('destination file is a directory');
      const fd = openSync(dest, 'w', 0o666);
      return { output: async () => createWriteStream(dest, { fd, highWaterMark: 1 << 20 }) };
    }
    if (stdout.isTTY) {
      throw invalidArgument(`output file is required for ${type} exporter. refusing to write to console`);
    }
    return { output: async () => streamOnto(stdout) };
  }
  if (dest !== '') throw invalidArgument(`output ${dest} is not supported by ${type} exporter`);
  return {};
}

/** `--output type=…,dest=…,key=value`, each one exporter. */
export function parseOutputs(values: readonly string[], stdout: Target): ExportEntry[] {
  return values.map((value) => {
    const attrs = new Map(parseAttributes(value));
    const type = attrs.get('type') ?? '';
    attrs.delete('type');
    if (type === '') throw invalidArgument('--output requires type=<type>');
    const misnamed = attrs.get('output');
    if (misnamed !== undefined) {
      throw invalidArgument(`output=${misnamed} not supported for --output, you meant dest=${misnamed}?`);
    }
    let target: Pick<ExportEntry, 'output' | 'outputDir'>;
    try {
      target = destination(type, attrs.get('dest') ?? '', attrs, stdout);
    } catch (error) {
      throw wrapError(error, 'invalid output option: output');
    }
    if (target.output !== undefined || target.outputDir !== undefined) attrs.delete('dest');
    return { type, attrs, ...target };
  });
}
