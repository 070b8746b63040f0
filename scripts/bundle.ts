/**
 * Makes the programs in dist/: one file each for buildctl and the daemons, a bundle for each worker thread's file, and of buildctl's
 * file a program that starts by itself (docs/decisions/bun.md). koffi stays outside (native), node built-ins too. Run by set-up
 * and by the launchers when a source is newer than the bundles.
 */
import { build } from 'esbuild';
import type { BuildOptions, Plugin } from 'esbuild';
import { spawnSync } from 'node:child_process';
import { existsSync, globSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
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
const entries: Record<string, string> = {};
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

/** All but these, which are there from Node's own start and whose functions are called often. */
const EAGER_BUILTINS = new Set(['node:fs', 'node:path', 'node:process', 'node:timers', 'node:url']);

/**
 * Imports of Node's own modules are reads of just the properties that are used. As ES modules they would be copies, made by
 * reading every property: one of `node:http` loads all of fetch, one of `node:util` a terminal's colours, which together
 * cost more than the rest of a program's start. For the same reason koffi's native part is loaded without the JavaScript
 * before it, which only looks for it and adds what is deprecated.
 */
const builtins: Plugin = {
  name: 'builtins',
  setup(on) {
    on.onResolve({ filter: /^(node:.*|koffi)$/ }, ({ path, kind }) =>
      kind === 'import-statement' ? { path, namespace: 'builtin', sideEffects: false } : undefined,
    );
    on.onLoad({ filter: /^node:/, namespace: 'builtin' }, async ({ path }) => {
      const module = (await import(path)) as Record<string, unknown>;
      // Functions of these are fetched when they are called: a program or a thread that does not need them does not load them.
      const isLazy = (name: string): boolean =>
        !EAGER_BUILTINS.has(path) && typeof module[name] === 'function' && !/^[A-Z]/.test(name);
      const one = (name: string): string =>
        isLazy(name)
          ? `export const ${name} = (...args) => $get().${name}(...args);`
          : `export const ${name} = /* @__PURE__ */ $read('${name}');`;
      const names = Object.keys(module).filter((name) => name !== 'default' && /^[A-Za-z_]\w*$/.test(name));
      return {
        contents: `let $module;
          const $get = () => ($module ??= process.getBuiltinModule(${JSON.stringify(path)}));
          const $read = (name) => $get()[name];
          export default /* @__PURE__ */ $get();
          ${names.map(one).join('\n')}`,
      };
    });
    on.onLoad({ filter: /^koffi$/, namespace: 'builtin' }, () => ({
      contents: `function load() {
          const { platform, arch } = process;
          try { return require('@koromix/koffi-' + platform + '-' + arch + '/' + platform + '_' + arch + '/koffi.node'); }
          catch { return require('koffi'); }
        }
        let native;
        export default new Proxy({}, { get: (_, name) => (native ??= load())[name] });`,
    }));
  },
};

mkdirSync(staging, { recursive: true });
process.once('exit', () => rmSync(staging, { recursive: true, force: true }));

const common = {
  bundle: true,
  platform: 'node',
  target: 'node24',
  minifySyntax: true,
  minifyWhitespace: true,
  keepNames: false,
  charset: 'ascii',
  external: ['koffi'],
  plugins: [lazyPackages, builtins],
  logLevel: 'warning',
} satisfies BuildOptions;

/** Threads share chunks. */
await build({
  ...common,
  entryPoints: entries,
  outdir: staging,
  format: 'esm',
  outExtension: { '.js': '.mjs' },
  splitting: true,
  chunkNames: 'chunk-[hash]',
  banner: {
    js: "const require = process.getBuiltinModule('node:module').createRequire(import.meta.url);",
  },
});

/**
 * A program is one file, a function that src/launch calls: parts that are loaded later are in it, but do not run before. Its name
 * is made from its content.
 */
async function bundleProgram(name: string, entry: string, launch: string): Promise<Uint8Array> {
  const made = await build({
    ...common,
    entryPoints: [entry],
    write: false,
    format: 'cjs',
    define: { 'import.meta.url': '$url' },
    banner: {
      js: "(function(require,$file,$recorder){const $url=require('node:url').pathToFileURL($file).href;",
    },
    footer: { js: '})' },
  });
  const [{ contents, hash }] = made.outputFiles;
  const file = `chunk-${name}-${hash.replaceAll(/[^A-Za-z0-9]/g, '')}.cjs`;
  writeFileSync(join(staging, file), contents);
  await build({
    ...common,
    entryPoints: [join(root, `src/launch/${launch}.ts`)],
    outfile: join(staging, `${name}.cjs`),
    format: 'cjs',
    define: { PROGRAM: JSON.stringify(file) },
  });
  return contents;
}

const BUN = join(root, 'node_modules/@oven/bun-linux-x64-baseline/bin/bun');

/** Settings of the folder where the program is started are another project's: none is read. */
const ALONE = ['dotenv', 'bunfig', 'tsconfig', 'package-json'].map((kind) => `--no-compile-autoload-${kind}`);

/**
 * The same function as a program of Bun's, with its code compiled. Where there is no Bun, or this machine cannot run what it made,
 * there is no such file, and the launcher starts Node.
 */
function compileProgram(name: string, contents: Uint8Array): void {
  if (!existsSync(BUN)) return;
  const source = join(staging, `${name}.bun.cjs`);
  const program = join(staging, name);
  const beside = `require('node:path').join(require('node:path').dirname(process.execPath),'${name}.cjs')`;
  const call = `\n(require('node:module').createRequire(${beside}),${beside});`;
  writeFileSync(source, Buffer.concat([contents, Buffer.from(call)]));
  const args = [
    'build',
    source,
    '--compile',
    '--bytecode',
    '--compile-jit-policy=40',
    '--minify',
    ...ALONE,
    '--outfile',
    program,
  ];
  const made = spawnSync(BUN, args, { cwd: staging, encoding: 'utf8' });
  rmSync(source);
  const tried = made.status === 0 ? spawnSync(program, ['--version'], { encoding: 'utf8' }) : made;
  if (tried.status === 0) return;
  rmSync(program, { force: true });
  process.stderr.write(`buildctl will be started by Node: ${tried.error?.message ?? tried.stderr}\n`);
}

compileProgram('buildctl', await bundleProgram('buildctl', join(root, 'src/embedded/main.ts'), 'buildctl'));
await bundleProgram('buildkitd', join(root, 'src/daemon/main.ts'), 'buildkitd');
await bundleProgram('embedded', join(root, 'src/embedded/daemon.ts'), 'buildkitd');
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
