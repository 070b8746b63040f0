/**
 * Runs the image of an OCI archive with runc, without any daemon: `run-archive.ts ARCHIVE [COMMAND...]`. Unpacks the
 * archive and its layers with tar, writes a bundle, runs the command of the image's config and ends with its exit code.
 * For trying out images that one has built oneself: nothing here guards against hostile layers.
 */
import { spawnSync } from 'node:child_process';
import { lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';

interface Descriptor {
  readonly digest: string;
  readonly mediaType: string;
}

interface ImageConfig {
  readonly config?: {
    readonly Entrypoint?: readonly string[] | null;
    readonly Cmd?: readonly string[] | null;
    readonly Env?: readonly string[] | null;
    readonly WorkingDir?: string;
  };
}

function run(command: string, args: readonly string[]): string {
  const { status, error, stdout } = spawnSync(command, args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    maxBuffer: 1 << 26,
  });
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: exit code ${status}`);
  return stdout;
}

function readJson<T>(file: string): T {
  return JSON.parse(readFileSync(file, 'utf8')) as T;
}

/** Lays a layer over what the ones below it left: first what it deletes, then what it brings. */
function apply(layer: string, rootfs: string): void {
  const marks = run('tar', ['--list', '--file', layer])
    .split('\n')
    .filter((name) => basename(name).startsWith('.wh.'));
  for (const mark of marks) {
    const folder = join(rootfs, dirname(mark));
    if (basename(mark) === '.wh..wh..opq') {
      if (lstatSync(folder, { throwIfNoEntry: false }) === undefined) continue;
      for (const name of readdirSync(folder)) rmSync(join(folder, name), { recursive: true, force: true });
    } else {
      rmSync(join(folder, basename(mark).slice('.wh.'.length)), { recursive: true, force: true });
    }
  }
  run('tar', ['--extract', '--file', layer, '--directory', rootfs, '--numeric-owner', '--exclude', '.wh.*']);
}

/** Makes the bundle that `runc run` takes. */
function makeBundle(archive: string, bundle: string, command: readonly string[]): void {
  const layout = join(bundle, 'layout');
  const rootfs = join(bundle, 'rootfs');
  mkdirSync(layout);
  mkdirSync(rootfs);
  run('tar', ['--extract', '--file', archive, '--directory', layout]);
  const blob = ({ digest }: Descriptor): string => join(layout, 'blobs', ...digest.split(':'));
  let target = readJson<{ manifests: Descriptor[] }>(join(layout, 'index.json')).manifests[0];
  // An index in the index: its first image, as long as there is one.
  while (/index|manifest\.list/.test(target.mediaType)) {
    target = readJson<{ manifests: Descriptor[] }>(blob(target)).manifests[0];
  }
  const manifest = readJson<{ config: Descriptor; layers: Descriptor[] }>(blob(target));
  for (const layer of manifest.layers) apply(blob(layer), rootfs);

  const { config = {} } = readJson<ImageConfig>(blob(manifest.config));
  run('runc', ['spec', '--bundle', bundle]);
  const specFile = join(bundle, 'config.json');
  const spec = readJson<{ process: Record<string, unknown>; root: Record<string, unknown> }>(specFile);
  Object.assign(spec.process, {
    terminal: false,
    args: command.length > 0 ? command : [...(config.Entrypoint ?? []), ...(config.Cmd ?? [])],
    env: config.Env ?? [],
    cwd: config.WorkingDir || '/',
  });
  spec.root.readonly = false;
  writeFileSync(specFile, JSON.stringify(spec));
}

const [archive, ...command] = process.argv.slice(2);
if (archive === undefined) {
  console.error('usage: run-archive.ts ARCHIVE [COMMAND...]');
  process.exit(1);
}
const bundle = mkdtempSync(join(tmpdir(), 'run-archive-'));
try {
  makeBundle(archive, bundle, command);
  const id = basename(bundle);
  const { status, error } = spawnSync('runc', ['--root', join(bundle, 'state'), 'run', '--bundle', bundle, id], {
    stdio: 'inherit',
  });
  if (error !== undefined) throw error;
  process.exitCode = status ?? 1;
} finally {
  rmSync(bundle, { recursive: true, force: true });
}
