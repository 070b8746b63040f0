/** The program buildctl itself: where it is started, where it writes, and the one file that Node and Bun run. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Daemon } from './daemon.ts';
import { mustRun, Running } from './process.ts';
import { cannotRun, makeScratch, project } from './scratch.ts';
import type { Scratch } from './scratch.ts';

const quote = (words: readonly string[]): string =>
  words.map((word) => `'${word.replaceAll("'", String.raw`'\''`)}'`).join(' ');

void describe('the program buildctl', { skip: cannotRun, timeout: 180_000 }, () => {
  const buildctl = join(project, 'bin/buildctl');
  let scratch: Scratch;
  let daemon: Daemon;
  let build: readonly string[];
  before(async () => {
    scratch = await makeScratch();
    daemon = await Daemon.start(scratch.folder);
    const context = join(scratch.folder, 'context');
    mkdirSync(context);
    const long = 'said '.repeat(30);
    writeFileSync(join(context, 'Dockerfile'), `FROM busybox\nRUN for i in 1 2 3; do echo ${long}; sleep 0.3; done\n`);
    const folders = ['--local', `context=${context}`, '--local', `dockerfile=${context}`];
    build = ['build', '--frontend', 'dockerfile.v0', ...folders, ...scratch.busybox];
  });
  after(async () => {
    await daemon?.stopWithoutLeaks();
    await scratch?.remove();
  });

  const shell = (script: string): Promise<string> => mustRun('bash', ['-c', `set -o pipefail; ${script}`], 60_000);

  void test('is compiled, and says what its file says with Node', async () => {
    assert.ok(existsSync(join(project, 'dist/buildctl')));
    const asked = ['--addr', daemon.address, 'debug', 'workers', '--format', '{{json .}}'];
    const said = await mustRun(buildctl, asked);
    assert.match(said, /"labels"/);
    assert.equal(said, await mustRun(process.execPath, [join(project, 'dist/buildctl.cjs'), ...asked]));
  });

  void test('a terminal is drawn on in its own width', async () => {
    const command = `stty cols 50 rows 20; ${quote([buildctl, '--addr', daemon.address, ...build, '--no-cache'])}`;
    const shown = await mustRun('script', ['-qec', command, '/dev/null'], 60_000);
    assert.match(shown, /\[\+\] Building .* FINISHED/);
    assert.match(shown, /=> => # said said/);
    // eslint-disable-next-line no-control-regex
    const widths = shown.split(/[\r\n]+/).map((line) => line.replaceAll(/\u001b\[[0-9;?]*[A-Za-z]/g, '').length);
    assert.equal(Math.max(...widths), 50);
  });

  void test('what lies in the folder where it is started is not its settings', async () => {
    const folder = join(scratch.folder, 'elsewhere');
    mkdirSync(folder);
    writeFileSync(join(folder, '.env'), 'BUILDKIT_HOST=unix:///nowhere\nPATH=/nowhere\n');
    writeFileSync(join(folder, 'bunfig.toml'), 'preload = ["./missing.ts"]\n');
    writeFileSync(join(folder, 'package.json'), '{');
    const env = { BUILDKIT_HOST: daemon.address };
    const asked = new Running('bash', ['-c', `cd '${folder}' && '${buildctl}' debug info`], { timeoutMs: 30_000, env });
    const { code, stdout, stderr } = await asked.ended;
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^BuildKit: +buildkit-ts/);
  });

  void test('what can be no definition is refused as upstream does, and Bun is not met', async () => {
    const ask = (input: string): Promise<string> =>
      shell(`BUN_BE_BUN=1 '${buildctl}' --addr '${daemon.address}' build ${input} 2>&1 || echo "ended with $?"`);
    const nothing = 'error: please specify --frontend or pipe LLB definition to stdin\nended with 1\n';
    assert.equal(await ask('</dev/null'), nothing);
    assert.equal(await ask('<&-'), nothing);
    assert.equal(await ask('</'), 'error: failed to parse input: read /dev/stdin: is a directory\nended with 1\n');
    assert.match(await ask('< <(true)'), /^error: empty definition sent to build. Specify --frontend instead\?\n/);
  });

  void test('is found through links, of itself and of its folder', async () => {
    const linked = join(scratch.folder, 'linked');
    symlinkSync(join(project, 'bin'), linked);
    symlinkSync(join(linked, 'buildctl'), join(scratch.folder, 'bctl'));
    for (const name of ['./linked/buildctl', './bctl']) {
      assert.match(await shell(`cd '${scratch.folder}' && ${name} --version`), /^buildctl buildkit-ts/);
    }
  });

  void test('a reader that has seen enough ends it well; a disk that is full is told', async () => {
    assert.equal(await shell(`'${buildctl}' build --help | head -n 1`), 'NAME:\n');
    const full = await shell(`'${buildctl}' build --help 2>&1 >/dev/full || echo "ended with $?"`);
    assert.match(full, /no space left on device\nended with 1\n$/);
  });

  void test('a reader that is slow gets all of it, from a pipe that does not wait as well', async () => {
    const archive = join(scratch.folder, 'out.tar');
    await mustRun(buildctl, ['--addr', daemon.address, ...build, '--output', `type=tar,dest=${archive}`], 60_000);
    const piped = quote([buildctl, '--addr', daemon.address, ...build, '--output', 'type=tar,dest=-']);
    const nonblocking = `perl -e 'use Fcntl; fcntl(STDOUT, F_SETFL, O_WRONLY | O_NONBLOCK) or die; exec @ARGV'`;
    for (const starter of ['', nonblocking]) {
      const same = `${starter} ${piped} 2>/dev/null | (sleep 1; cmp - '${archive}' && echo same)`;
      assert.equal(await shell(same), 'same\n');
    }
  });
});
