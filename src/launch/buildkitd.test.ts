import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { build } from 'esbuild';

const PROGRAM = 'program.cjs';
const folder = mkdtempSync(join(tmpdir(), 'launch-'));
const cache = join(folder, 'cache');
const ofStart = `${PROGRAM}.start`;
const ofBuild = `${PROGRAM}.build`;

before(async () => {
  await build({
    entryPoints: [join(import.meta.dirname, 'buildkitd.ts')],
    outfile: join(folder, 'start.cjs'),
    bundle: true,
    platform: 'node',
    define: { PROGRAM: JSON.stringify(PROGRAM) },
  });
  // Tells its recorder what it is asked to, and whether it has one.
  const program = `(function (require, file, recorder) {
    const later = { started() { return 1; }, built() { return [2].map((n) => n * 2); } };
    const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
    (async () => {
      process.stdout.write(recorder === undefined ? 'has its code' : 'records');
      for (const word of process.argv.slice(2)) {
        if (word === 'die') process.kill(process.pid, 'SIGKILL');
        else if (word === 'fail') process.exit(1);
        else if (word === 'wait') {
          for (let i = 0; i < 500 && !require('node:fs').existsSync(${JSON.stringify(join(cache, ofBuild))}); i++) await wait(10);
        } else { later[word]?.(); recorder?.[word](); }
      }
    })();
  })`;
  writeFileSync(join(folder, PROGRAM), program);
});
beforeEach(() => rmSync(cache, { recursive: true, force: true }));
after(() => rmSync(folder, { recursive: true }));

/** Runs the program with these events; what it said. */
function run(...events: string[]): string {
  const { stdout, stderr } = spawnSync(process.execPath, [join(folder, 'start.cjs'), ...events], { encoding: 'utf8' });
  assert.equal(stderr, '');
  return stdout;
}

function files(): string[] {
  try {
    return readdirSync(cache).toSorted();
  } catch {
    return [];
  }
}

void test('a daemon that is idle after a build has its code kept, also if it is killed later', () => {
  assert.equal(run('started', 'built', 'idle', 'wait', 'die'), 'records');
  assert.deepEqual(files(), [ofBuild]);
  assert.equal(run('started', 'built', 'idle'), 'has its code');
});

void test('a daemon that ends before it was idle keeps its code at its end', () => {
  assert.equal(run('started', 'built'), 'records');
  assert.deepEqual(files(), [ofBuild]);
});

void test('one that never built keeps what it has, until one has built', () => {
  assert.equal(run('started', 'idle'), 'records');
  assert.deepEqual(files(), [ofStart]);
  const first = readFileSync(join(cache, ofStart));
  assert.equal(run('started'), 'records');
  assert.ok(readFileSync(join(cache, ofStart)).equals(first));
  assert.equal(run('started', 'built', 'idle'), 'records');
  assert.deepEqual(files(), [ofBuild, ofStart]);
  assert.equal(run('started'), 'has its code');
});

void test('nothing is kept of one that did not start, or ended badly', () => {
  run();
  run('started', 'built', 'fail');
  run('started', 'built', 'die');
  assert.deepEqual(files(), []);
});

void test('code that is damaged is not used, and made anew', () => {
  run('started', 'built');
  const kept = join(cache, ofBuild);
  const good = readFileSync(kept);
  writeFileSync(kept, Buffer.from(good).fill(0, good.length >> 1, (good.length >> 1) + 512));
  assert.equal(run('started', 'built'), 'records');
  assert.equal(run(), 'has its code');
});

void test('where nothing can be kept it runs all the same', () => {
  writeFileSync(cache, '');
  assert.equal(run('started', 'built', 'idle'), 'records');
});
