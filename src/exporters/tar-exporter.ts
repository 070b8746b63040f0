import { oneLine } from '../base/index.ts';
import { sendFile } from '../session/index.ts';
import { packDirectories } from '../storage/index.ts';
import type { PackEntry } from '../storage/index.ts';
import { clientOf } from './client.ts';
import type { ExporterDeps } from './deps.ts';
import { parseFileOptions } from './local-exporter.ts';
import type { FileOptions } from './local-exporter.ts';
import { filesOf, platformFolder, showFiles } from './result-files.ts';
import { epochNs } from './result.ts';
import type { ExportedResult } from './result.ts';
import type { ExportContext, Exporter, ExporterInstance, ExportOutcome } from './types.ts';

/** The files of a result as one tar; several platforms have a folder each. */
export function createTarExporter(deps: ExporterDeps): Exporter {
  return { type: 'tar', resolve: (attrs) => new TarExport(deps, attrs) };
}

class TarExport implements ExporterInstance {
  readonly name = 'exporting to client tarball';
  readonly type = 'tar';
  readonly attrs: ReadonlyMap<string, string>;
  readonly #deps: ExporterDeps;
  readonly #options: FileOptions;

  constructor(deps: ExporterDeps, attrs: ReadonlyMap<string, string>) {
    this.#deps = deps;
    this.attrs = attrs;
    this.#options = parseFileOptions(attrs);
  }

  async export(result: ExportedResult, context: ExportContext): Promise<ExportOutcome> {
    const { perPlatform, platforms } = filesOf(result, this.#options.epoch);
    await using shown = new AsyncDisposableStack();
    const entries: PackEntry[] = [];
    const { attestationPrefix: prefix, split = perPlatform } = this.#options;
    const nowSeconds = Math.floor(Date.now() / 1000);
    for (const files of platforms) {
      const folder = platformFolder(files.id);
      const naming = { prefix, platform: perPlatform && !split ? folder : undefined };
      const { dir, attestations } = await showFiles(files, shown, { naming, nowSeconds, signal: context.signal });
      entries.push({ dir, prefix: perPlatform ? folder : '', over: attestations, system: files.ref?.system });
    }
    const epoch = platforms[0]?.epoch;
    const caller = await clientOf(this.#deps.sessions, context);
    const sink = sendFile(caller, { exporterId: String(context.exporterIndex) }, new Map(), context.signal);
    await oneLine(context.progress, 'sending tarball', async () => {
      try {
        const options = { signal: context.signal, ...(epoch === undefined ? {} : { mtimeNs: epochNs(epoch) }) };
        for await (const chunk of packDirectories(entries, options)) await sink.write(chunk);
        await sink.close();
      } catch (error) {
        sink.cancel(error as Error);
        throw error;
      }
    });
    return { response: new Map() };
  }
}
