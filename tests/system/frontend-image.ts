/** Images whose program is a frontend, as OCI layouts in a test's folder. */
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { build } from 'esbuild';
import type { Plugin } from 'esbuild';
import type { Daemon } from './daemon.ts';
import { mustRun } from './process.ts';
import { buildArguments } from './scratch.ts';

/** Native code is not needed by a frontend, and would not be in its image. */
const withoutKoffi: Plugin = {
  name: 'without-koffi',
  setup(on) {
    on.onResolve({ filter: /^koffi$/ }, () => ({ path: 'koffi', namespace: 'empty' }));
    on.onLoad({ filter: /.*/, namespace: 'empty' }, () => ({ contents: 'export default {};' }));
  },
};

/** A build context with this Node, what it needs of the machine, and `program` (a TypeScript file) as the entry point. */
export async function writeNodeContext(
  folder: string,
  program: string,
  labels: Readonly<Record<string, string>>,
): Promise<void> {
  const root = join(folder, 'root');
  const copy = (from: string, to: string): void => {
    mkdirSync(dirname(join(root, to)), { recursive: true });
    copyFileSync(from, join(root, to));
  };
  copy(process.execPath, 'node');
  for (const [, library] of (await mustRun('ldd', [process.execPath])).matchAll(/(\/\S+) \(0x/g))
    copy(library, library);
  await build({
    entryPoints: [program],
    outfile: join(root, 'frontend.mjs'),
    bundle: true,
    platform: 'node',
    target: 'node24',
    format: 'esm',
    plugins: [withoutKoffi],
    logLevel: 'error',
  });
  const lines = [
    'FROM scratch',
    'COPY root /',
    ...Object.entries(labels).map(([key, value]) => `LABEL ${key}=${JSON.stringify(value)}`),
    'ENTRYPOINT ["/node", "/frontend.mjs"]',
  ];
  writeFileSync(join(folder, 'Dockerfile'), `${lines.join('\n')}\n`);
}

/** Builds the context into a layout; gives the arguments of a build that finds it under `name`. */
export async function buildLayout(
  daemon: Daemon,
  name: string,
  context: string,
  more: readonly string[] = [],
): Promise<{ layout: string; digest: string; args: string[] }> {
  const layout = join(context, 'layout');
  const output = `type=oci,tar=false,compression=uncompressed,dest=${layout}`;
  await daemon.ask(...buildArguments(context), ...more, '--output', output);
  const index = JSON.parse(readFileSync(join(layout, 'index.json'), 'utf8')) as { manifests: { digest: string }[] };
  const { digest } = index.manifests[0];
  const args = ['--oci-layout', `${name}=${layout}`, '--opt', `context:${name}=oci-layout://${name}@${digest}`];
  return { layout, digest, args };
}
