/**
 * Makes the programs in dist/: one bundle for buildctl, one for buildkitd, one for each worker thread's file. koffi stays
 * outside (native), node built-ins too. Run by set-up and by the launchers when a source is newer than the bundles.
 */
import { build } from 'esbuild';
import type { Plugin } from 'esbuild';
import { globSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { basename, join } from 'node:path';

const root = join(import.meta.dirname, '..');
const out = join(root, 'dist');
const staging = join(root, `dist.${process.pid}`);

const workers = globSync('src/**/*.worker.ts', { cwd: root });
const names = new Set<string>();
for (const file of workers) {
  if (names.has(basename(file))) throw new Error(`two worker files are named ${basename(file)}`);
  names.add(basename(file));
}
const entries: Record<string, string> = {
  buildctl: join(root, 'src/embedded/main.ts'),
  buildkitd: join(root, 'src/daemon/main.ts'),
};
for (const file of workers) entries[basename(file, '.ts')] = join(root, file);

/**
 * A CommonJS package that is imported lazily becomes a chunk of which esbuild exports nothing but `default`: this gives it
 * the names that Node itself would give it.
 */
const lazyPackages: Plugin = {
  name: 'lazy-packages',
  setup(on) {
    on.onResolve({ filter: /^[a-z@][^:]*$/ }, ({ path, kind }) =>
      kind === 'dynamic-import' && !isBuiltin(path) && path !== 'koffi' ? { path, namespace: 'lazy' } : undefined,
    );
    on.onLoad({ filter: /.*/, namespace: 'lazy' }, async ({ path }) => {
      const names = Object.keys((await import(path)) as object).filter(
        (n) => n !== 'default' && n !== 'module.exports',
      );
      const contents = `export { ${names.join(', ')} } from ${JSON.stringify(path)};`;
      return { contents, resolveDir: root };
    });
  },
};

mkdirSync(staging, { recursive: true });
process.once('exit', () => rmSync(staging, { recursive: true, force: true }));
await build({
  entryPoints: entries,
  outdir: staging,
  bundle: true,
  platform: 'node',
  target: 'node24',
  format: 'esm',
  outExtension: { '.js': '.mjs' },
  minifySyntax: true,
  keepNames: false,
  splitting: true,
  chunkNames: 'chunk-[hash]',
  external: ['koffi'],
  plugins: [lazyPackages],
  banner: {
    js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
  },
  logLevel: 'warning',
});
writeFileSync(join(staging, '.stamp'), '');
// Renames, so that a program that starts meanwhile finds whole files: first what others import, then the programs and the
// workers, the stamp last. Programs that are running may yet ask for their old chunks: those stay for a day.
const DAY_MS = 86_400_000;
const isChunk = (name: string): boolean => name.startsWith('chunk-');
const rank = (name: string): number => (isChunk(name) ? 0 : name === '.stamp' ? 2 : 1);
mkdirSync(out, { recursive: true });
const made = readdirSync(staging);
for (const name of made.toSorted((a, b) => rank(a) - rank(b))) renameSync(join(staging, name), join(out, name));
for (const old of readdirSync(out)) {
  if (made.includes(old) || (isChunk(old) && Date.now() - statSync(join(out, old)).mtimeMs < DAY_MS)) continue;
  rmSync(join(out, old), { recursive: true, force: true });
}
