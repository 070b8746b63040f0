/** Holds the code to the table in src/README.md. */
import assert from 'node:assert/strict';
import { globSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import test from 'node:test';

const src = join(import.meta.dirname, '../src');

interface Row {
  readonly folder: string;
  readonly allowed: ReadonlySet<string>;
}

function readTable(): Map<string, Row> {
  const rows = new Map<string, Row>();
  for (const line of readFileSync(join(src, 'README.md'), 'utf8').split('\n')) {
    const cells = line.split('|').map((c) => c.trim());
    if (cells.length !== 6 || !/^(`[a-z]+\/` ?)+$/.test(cells[2])) continue;
    const allowed = new Set(cells[4].split(/\s+/).filter((w) => w !== ''));
    for (const [, folder] of cells[2].matchAll(/`([a-z]+)\/`/g)) rows.set(folder, { folder, allowed });
  }
  return rows;
}

interface Import {
  readonly from: string;
  readonly to: string;
}

function importsOf(file: string): string[] {
  const text = readFileSync(join(src, file), 'utf8').replace(/\/\*[\s\S]*?\*\//g, '');
  const found: string[] = [];
  for (const m of text.matchAll(/(?:^|\n)\s*(?:import|export)\b[^'";]*?from\s*'([^']+)'/g)) found.push(m[1]);
  for (const m of text.matchAll(/(?:^|\n)\s*import\s*'([^']+)'/g)) found.push(m[1]);
  for (const m of text.matchAll(/\bimport\('([^']+)'\)/g)) found.push(m[1]);
  return found;
}

const files = globSync('**/*.ts', { cwd: src }).filter((f) => !f.startsWith('proto/'));
const imports: Import[] = [];
for (const from of files) {
  for (const spec of importsOf(from)) {
    if (spec.startsWith('.')) imports.push({ from, to: relative(src, normalize(join(src, dirname(from), spec))) });
  }
}
const folderOf = (file: string): string => file.split('/')[0];
const table = readTable();

void test('the table lists every folder of src', () => {
  const folders = readdirSync(src).filter((n) => statSync(join(src, n)).isDirectory());
  assert.ok(table.size > 20);
  assert.deepEqual(
    folders.filter((f) => !table.has(f) && globSync('**/*.ts', { cwd: join(src, f) }).length > 0),
    [],
  );
});

void test('folders import only what the table allows', () => {
  const bad = imports.filter(({ from, to }) => {
    const a = folderOf(from);
    const b = folderOf(to);
    return a !== b && b !== 'base' && !table.get(a)?.allowed.has(b);
  });
  assert.deepEqual(bad, []);
});

void test('a folder is entered through its index or its types', () => {
  const bad = imports.filter(({ from, to }) => {
    if (folderOf(from) === folderOf(to) || to.startsWith('proto/') || from.endsWith('.test.ts')) return false;
    return !/\/(index|types)\.ts$/.test(to);
  });
  assert.deepEqual(bad, []);
});

void test('no file imports itself in a circle', () => {
  const edges = new Map<string, string[]>();
  for (const { from, to } of imports) edges.set(from, [...(edges.get(from) ?? []), to]);
  const done = new Set<string>();
  const path: string[] = [];
  const circles: string[] = [];
  const visit = (file: string): void => {
    if (done.has(file)) return;
    const at = path.indexOf(file);
    if (at >= 0) {
      circles.push([...path.slice(at), file].join(' → '));
      return;
    }
    path.push(file);
    for (const next of edges.get(file) ?? []) visit(next);
    path.pop();
    done.add(file);
  };
  for (const file of files) visit(file);
  assert.deepEqual(circles, []);
});

void test('only host calls the kernel and starts processes', () => {
  const bad = files.filter(
    (f) =>
      folderOf(f) !== 'host' &&
      !f.endsWith('.test.ts') &&
      importsOf(f).some((s) => ['koffi', 'child_process', 'node:child_process'].includes(s)),
  );
  assert.deepEqual(bad, []);
});

void test('only files of three levels, in kebab case', () => {
  assert.deepEqual(
    files.filter((f) => f.split('/').length > 4 || !/^[a-z0-9\-./]+$/.test(f)),
    [],
  );
});
