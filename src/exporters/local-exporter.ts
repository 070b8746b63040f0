import { opendir } from 'node:fs/promises';
import { join } from 'node:path';
import { BuildError, Code, invalidArgument, mapConcurrent, throwIfAborted } from '../base/index.ts';
import { sendTrees } from '../files/index.ts';
import { sendDirectory } from '../session/index.ts';
import type { SessionCaller } from '../session/types.ts';
import { clientOf } from './client.ts';
import type { ExporterDeps } from './deps.ts';
import { parseGoBool } from './go-values.ts';
import { filesOf, platformFolder, showFiles } from './result-files.ts';
import type { PlatformFiles, ShownFiles } from './result-files.ts';
import { epochNs, parseEpoch } from './result.ts';
import type { Epoch, ExportedResult } from './result.ts';
import { countingLine } from './steps.ts';
import type { ExportContext, Exporter, ExporterInstance, ExportOutcome } from './types.ts';

export interface FileOptions {
  readonly epoch: Epoch | undefined;
  readonly split: boolean | undefined;
  /** `delete`: the client removes what the result does not have. */
  readonly mode: 'copy' | 'delete';
  /** Put before the names of files with attestations. */
  readonly attestationPrefix: string;
}

/** What `local` and `tar` understand; other attributes are ignored as upstream does. */
export function parseFileOptions(attrs: ReadonlyMap<string, string>): FileOptions {
  const epoch = attrs.get('source-date-epoch');
  const split = attrs.get('platform-split');
  const mode = (attrs.get('mode') ?? '').trim().toLowerCase();
  if (mode !== '' && mode !== 'copy' && mode !== 'delete') {
    throw invalidArgument(`invalid local exporter mode ${JSON.stringify(attrs.get('mode'))}`);
  }
  return {
    epoch: epoch === undefined ? undefined : parseEpoch('source-date-epoch', epoch),
    split:
      split === undefined
        ? undefined
        : parseGoBool('platform-split', split, `non-bool value for platform-split: ${split}`),
    mode: mode === 'delete' ? 'delete' : 'copy',
    attestationPrefix: attrs.get('attestation-prefix') ?? '',
  };
}

interface Tree extends ShownFiles {
  readonly files: PlatformFiles;
}

/** The files of a result in a directory of the client. */
export function createLocalExporter(deps: ExporterDeps): Exporter {
  return { type: 'local', resolve: (attrs) => new LocalExport(deps, attrs) };
}

class LocalExport implements ExporterInstance {
  readonly name = 'exporting to client directory';
  readonly type = 'local';
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
    const caller = await clientOf(this.#deps.sessions, context);
    const split = this.#options.split ?? perPlatform;
    await using shown = new AsyncDisposableStack();
    const trees: Tree[] = [];
    const nowSeconds = Math.floor(Date.now() / 1000);
    for (const files of platforms) {
      const platform = perPlatform && !split ? platformFolder(files.id) : undefined;
      const naming = { prefix: this.#options.attestationPrefix, platform };
      const { signal } = context;
      trees.push({ files, ...(await showFiles(files, shown, { naming, nowSeconds, signal })) });
    }
    if (!split && trees.length > 1) await refuseSamePaths(trees, context.signal);
    const replace = this.#options.mode === 'delete';
    // What a transfer does not have is removed: all platforms go in one, or each would remove the others.
    const transfers = replace ? [trees] : trees.map((tree) => [tree]);
    await mapConcurrent(transfers, transfers.length, (sent) => this.#send(sent, split, caller, context));
    return { response: new Map() };
  }

  async #send(trees: readonly Tree[], split: boolean, caller: SessionCaller, context: ExportContext): Promise<void> {
    const replace = this.#options.mode === 'delete';
    const target = { exporterId: String(context.exporterIndex), ...(replace ? { multiPlatform: true } : {}) };
    const call = sendDirectory(caller, target, context.signal);
    const line = split && !replace ? `copying files ${trees[0].files.id}` : 'copying files';
    const sent = trees.map(({ files, dir, attestations }) => ({
      root: dir,
      ...(files.epoch === undefined ? {} : { mtimeNs: epochNs(files.epoch) }),
      ...(split ? { prefix: platformFolder(files.id) } : {}),
      ...(attestations === undefined ? {} : { over: attestations }),
    }));
    try {
      await countingLine(context.progress, line, (count) =>
        sendTrees(sent, call, { signal: context.signal, onProgress: count }),
      );
      call.close();
      // The status comes after the last packet.
      while ((await call.readBatch()) !== undefined) throwIfAborted(context.signal);
    } catch (error) {
      call.cancel(error as Error);
      throw error;
    }
  }
}

/** Without a folder for each platform no file may come from two of them. */
async function refuseSamePaths(trees: readonly Tree[], signal: AbortSignal): Promise<void> {
  const seen = new Map<string, string>();
  const roots = trees.flatMap(({ files, dir, attestations }) =>
    (attestations === undefined ? [dir] : [dir, attestations]).map((root) => ({ id: files.id, root })),
  );
  for (const { id, root } of roots) {
    const folders = [''];
    for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
      throwIfAborted(signal);
      for await (const entry of await opendir(join(root, folder))) {
        const path = folder === '' ? entry.name : `${folder}/${entry.name}`;
        if (entry.isDirectory()) {
          folders.push(path);
          continue;
        }
        const other = seen.get(path);
        if (other !== undefined) {
          throw new BuildError(
            Code.Unknown,
            `cannot overwrite ${path} from ${other} with ${id} when split option is disabled`,
          );
        }
        seen.set(path, id);
      }
    }
  }
}
