import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { build } from 'esbuild';

const PROGRAM = 'program.cjs';
const folder = mkdtempSync(join(tmpdir(), 'launch-'));
const cache = join(folder, 'cache');
const kept = join(cache, `${PROGRAM}.build`);

before(async () => {
  await build({
    entryPoints: [join(import.meta.dirname, 'buildctl.ts')],
    outfile: join(folder, 'start.cjs'),
    bundle: true,
    platform: 'node',
    define: { PROGRAM: JSON.stringify(PROGRAM) },
  });
  // Says what it was given, and ends as it is asked to.
  const program = `(function (require, file) {
    function later() { return Number(process.argv[3] ?? 0); }
    process.stdout.write(file + ' ' + typeof require('node:fs').readFileSync);
    process.exit(later());
  })`;
  writeFileSync(join(folder, PROGRAM), program);
});
after(() => rmSync(folder, { recursive: true }));

function run(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, [join(folder, 'start.cjs'), ...args], { encoding: 'utf8' });
}

void test('a run keeps its code for the next one of the same command', () => {
  const said = `${join(folder, PROGRAM)} function`;
  assert.equal(run('build').stdout, said);
  assert.deepEqual(readdirSync(cache), [`${PROGRAM}.build`]);
  const first = readFileSync(kept);
  assert.equal(run('build').stdout, said);
  assert.ok(readFileSync(kept).equals(first));
  assert.equal(run('--version').stdout, said);
  assert.deepEqual(readdirSync(cache).toSorted(), [`${PROGRAM}.build`, `${PROGRAM}.none`]);
});

void test('code that is cut or of something else is not used, and replaced', () => {
  run('build');
  const good = readFileSync(kept);
  const lost = Buffer.from(good).fill(0, good.length >> 1, (good.length >> 1) + 512);
  for (const bad of [
    lost,
    Buffer.alloc(0),
    good.subarray(0, good.length >> 1),
    Buffer.alloc(good.length),
    Buffer.from('no'),
  ]) {
    writeFileSync(kept, bad);
    const { status, stderr } = run('build');
    assert.deepEqual([status, stderr], [0, '']);
    assert.equal(readFileSync(kept).length, good.length);
  }
});

void test('a run that failed keeps nothing; where nothing can be kept it runs all the same', () => {
  rmSync(cache, { recursive: true, force: true });
  assert.equal(run('build', '3').status, 3);
  assert.deepEqual(readdirSync(folder).includes('cache'), false);
  writeFileSync(cache, '');
  const { status, stderr } = run('build');
  assert.deepEqual([status, stderr], [0, '']);
  rmSync(cache);
});
