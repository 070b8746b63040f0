/**
 * Results go somewhere: images, archives of images, directories and tars of the client. In come the refs and metadata of a
 * build, out go response entries and a descriptor. Deliberately absent: which exporters a build has, cache exports.
 */
import type { Exporter } from './types.ts';
import { createArchiveExporter } from './archive-exporter.ts';
import type { ExporterDeps } from './deps.ts';
import { createImageExporter } from './image-exporter.ts';
import { createLocalExporter } from './local-exporter.ts';
import { createTarExporter } from './tar-exporter.ts';

export type * from './types.ts';
export type { ExporterDeps } from './deps.ts';
export { platformsOf, refOfPlatform } from './result.ts';
export type { ResultPlatform } from './result.ts';

/** By type, as Solve requests name them. */
export function createExporters(deps: ExporterDeps): ReadonlyMap<string, Exporter> {
  const exporters: readonly Exporter[] = [
    createImageExporter(deps),
    createLocalExporter(deps),
    createTarExporter(deps),
    createArchiveExporter(deps, 'oci'),
    createArchiveExporter(deps, 'docker'),
  ];
  return new Map(exporters.map((exporter) => [exporter.type, exporter]));
}
