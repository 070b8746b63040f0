import { mkdirSync } from 'node:fs';
import { invalidArgument } from '../base/index.ts';
import { openLayoutStore } from '../content/index.ts';
import type { ContentStore } from '../content/types.ts';
import type { ExportTarget } from '../session/index.ts';
import type { ExportEntry } from './types.ts';

export interface ExportPlan {
  /** By index of the exporter, as text. */
  readonly targets: ReadonlyMap<string, ExportTarget>;
  readonly stores: ReadonlyMap<string, ContentStore>;
  /** Layouts whose index gets the image. */
  readonly layouts: readonly string[];
}

function localMode(attrs: ReadonlyMap<string, string>): 'copy' | 'delete' {
  const mode = attrs.get('mode') ?? '';
  if (mode === '' || mode === 'copy') return 'copy';
  if (mode === 'delete') return 'delete';
  throw invalidArgument(`invalid local exporter mode ${JSON.stringify(mode)}`);
}

/** Where each exporter's bytes go on this machine. Throws when an exporter and its target do not fit. */
export function planExports(entries: readonly ExportEntry[]): ExportPlan {
  const targets = new Map<string, ExportTarget>();
  const stores = new Map<string, ContentStore>();
  const layouts: string[] = [];
  entries.forEach((entry, index) => {
    const { type, output, outputDir = '' } = entry;
    const archive = type === 'oci' || type === 'docker';
    if (archive && output !== undefined && outputDir !== '') {
      throw invalidArgument(`both file and store output is not supported by ${type} exporter`);
    }
    const asFile = type === 'tar' || (archive && output !== undefined);
    const asStore = archive && outputDir !== '';
    if (!asFile && output !== undefined) {
      throw invalidArgument(`output file writer is not supported by ${type} exporter`);
    }
    if (type !== 'local' && !asStore && outputDir !== '') {
      throw invalidArgument(`output directory is not supported by ${type} exporter`);
    }
    if (asFile) {
      if (output === undefined) throw invalidArgument(`output file writer is required for ${type} exporter`);
      targets.set(String(index), { kind: 'file', open: output });
    }
    if (type === 'local') {
      if (outputDir === '') throw invalidArgument(`output directory is required for ${type} exporter`);
      const replace = localMode(entry.attrs) === 'delete';
      targets.set(String(index), { kind: 'directory', path: outputDir, replace });
    }
    if (asStore) {
      if (stores.has('export')) throw invalidArgument('oci store key "export" already exists');
      mkdirSync(outputDir, { recursive: true });
      stores.set('export', openLayoutStore(outputDir));
      layouts.push(outputDir);
    }
  });
  return { targets, stores, layouts };
}
