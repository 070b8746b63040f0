import type { ByteString, TarHeader, TarSink } from '../../archive/index.ts';
import { isWindowsEntry, pathFault, splitRoot } from '../../archive/windows/index.ts';
import { invalidArgument } from '../../base/index.ts';
import type { ImageSystem } from '../types.ts';
import { TreeApplier } from './tree-applier.ts';
import type { ApplierOptions } from './tree-applier.ts';
import { WindowsLayer } from './windows-layer.ts';

/** It could be a file of an image, and is in none of the folders that a layer for Windows has. */
const isPlainName = (name: ByteString): boolean => splitRoot(name) === undefined && pathFault(name) === undefined;

/**
 * Where the entries of a layer go, by the system that it is for. Where nobody has said which, its first entry does; so it does
 * for the first layer of an image for Windows, which may be plain files: programs for Windows that were put on nothing.
 */
export class LayerSink implements TarSink {
  readonly #options: ApplierOptions;
  readonly #isBase: boolean;
  readonly #wanted: ImageSystem | undefined;
  #sink: TreeApplier | WindowsLayer | undefined;

  constructor(system: ImageSystem | undefined, isBase: boolean, options: ApplierOptions) {
    this.#wanted = system;
    this.#isBase = isBase;
    this.#options = options;
  }

  get system(): ImageSystem {
    return this.#sink instanceof WindowsLayer ? 'windows' : 'linux';
  }

  get size(): number {
    return this.#sink?.size ?? 0;
  }

  get entries(): number {
    return this.#sink?.entries ?? 0;
  }

  entry(header: TarHeader): void {
    this.#sink ??= this.#open(isWindowsEntry(header) ? 'windows' : 'linux', isPlainName(header.name));
    this.#sink.entry(header);
  }

  data(bytes: Uint8Array, offset: number): void {
    this.#sink?.data(bytes, offset);
  }

  entryEnd(): void {
    this.#sink?.entryEnd();
  }

  finish(): void {
    this.#sink ??= this.#open('linux');
    this.#sink.finish();
  }

  close(): void {
    this.#sink?.close();
  }

  #open(looks: ImageSystem, isPlain = false): TreeApplier | WindowsLayer {
    if (this.#wanted === 'linux' && looks === 'windows')
      throw invalidArgument('invalid layer: it is for Windows, its image is not');
    // One that does not look like it is told by its rules, which say what is wrong with it.
    const system = isPlain && this.#isBase ? looks : (this.#wanted ?? looks);
    return system === 'windows'
      ? new WindowsLayer(this.#options, { isBase: this.#isBase })
      : new TreeApplier(this.#options);
  }
}
