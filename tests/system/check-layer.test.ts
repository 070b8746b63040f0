/** `buildctl debug check-layer`, on layers written by the rules and on such as break them. No daemon. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { mustRun, run } from './process.ts';
import type { Ended } from './process.ts';
import { project } from './scratch.ts';
import { baseFiles, updateFiles, windowsTar } from './windows-base.ts';
import type { LayerFiles } from './windows-base.ts';

const buildctl = join(project, 'bin/buildctl');

void describe('debug check-layer', { timeout: 120_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'check-layer-'));
  const file = join(folder, 'layer');

  before(() => mustRun(join(project, 'scripts/ensure-built.sh'), [project], 60_000));
  after(() => rmSync(folder, { recursive: true }));

  const check = (bytes: Buffer, ...flags: string[]): Promise<Ended> => {
    writeFileSync(file, bytes);
    return run(buildctl, ['debug', 'check-layer', ...flags, file]);
  };
  const checkFiles = (files: LayerFiles, ...flags: string[]): Promise<Ended> =>
    check(windowsTar({ Hives: undefined, Files: undefined, ...files }), ...flags);

  void test('a layer that keeps the rules, packed or not', async () => {
    const tar = windowsTar(updateFiles);
    for (const bytes of [tar, gzipSync(tar), zstdCompressSync(tar)]) {
      assert.deepEqual(await check(bytes), {
        code: 0,
        stdout: 'the layer keeps the rules of Windows layers\n',
        stderr: '',
      });
    }
    assert.equal((await check(windowsTar(baseFiles('10.0.20348.1')), '--base')).code, 0);
  });

  void test('from the standard input', () => {
    const input = gzipSync(windowsTar(updateFiles));
    const ended = spawnSync(buildctl, ['debug', 'check-layer', '-'], { input });
    assert.deepEqual([ended.status, String(ended.stdout)], [0, 'the layer keeps the rules of Windows layers\n']);
  });

  void test('every rule that is broken is told, with the entry that breaks it', async () => {
    const { code, stdout, stderr } = await checkFiles({
      'Files/App': undefined,
      'Files/App/con.txt': '',
      'Files/App/a.': '',
      'Files/App/x': '',
      'Files/App/X': '',
      'Files/.wh..wh..opq': '',
      'Files/nowhere/y': '',
      'Hives/System_Delta': 'no hive',
    });
    assert.equal(code, 1);
    const told = [...stdout.matchAll(/^(\S+) .*\[([a-z-]+)\]$/gm)].map(([, entry, rule]) => `${entry} ${rule}`);
    assert.deepEqual(told, [
      'Files/App/con.txt name',
      'Files/App/a. name',
      'Files/App/X collision',
      'Files/.wh..wh..opq whiteout',
      'Files/nowhere/y parent',
      'Hives/System_Delta hive',
    ]);
    assert.match(
      stderr,
      /^error: the layer breaks the rules of Windows layers: collision, hive, name, parent, whiteout$/m,
    );
  });

  void test('a base layer deletes nothing, one of Linux is none, and names cannot play with the terminal', async () => {
    const deleting = await check(windowsTar(updateFiles), '--base');
    assert.equal(deleting.code, 1);
    assert.match(deleting.stdout, /^Files\/\.wh\.License\.txt .* \[whiteout-in-base\]$/m);
    const linux = await check(windowsTar({ 'etc/passwd': 'root' }));
    assert.equal(linux.code, 1);
    assert.match(linux.stdout, /^the layer .* \[linux-layer\]$/m);
    const coloured = await checkFiles({ 'Files/\u001b[31mred\u202e': '' });
    assert.equal(coloured.code, 1);
    assert.match(coloured.stdout, /^Files\/\\u\{1b\}\[31mred\\u\{202e\} /m);
  });

  void test('what is no layer, and no file', async () => {
    const noise = await check(Buffer.alloc(2000, 'noise '));
    assert.equal(noise.code, 1);
    assert.match(noise.stderr, /^error: could not read /m);
    const cut = await check(gzipSync(windowsTar(baseFiles('1'))).subarray(0, 500));
    assert.equal(cut.code, 1);
    assert.match(cut.stderr, /^error: could not read /m);
    const none = await run(buildctl, ['debug', 'check-layer', join(folder, 'none')]);
    assert.equal(none.code, 1);
    assert.match(none.stderr, /no such file or directory/);
    const two = await run(buildctl, ['debug', 'check-layer', file, file]);
    assert.equal(two.code, 1);
    assert.match(two.stderr, /check-layer takes one file/);
  });
});
