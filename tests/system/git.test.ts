/** Repositories as contexts, as named contexts and in ADD, fetched by real git from git's own server. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Daemon, processesWith } from './daemon.ts';
import { GitServer } from './git-server.ts';
import { mustRun, until } from './process.ts';
import { cannotRun, makeScratch, writeContext } from './scratch.ts';
import type { Scratch } from './scratch.ts';
import { readSteps } from './steps.ts';

void describe('git', { skip: cannotRun, timeout: 250_000 }, () => {
  let scratch: Scratch;
  let daemon: Daemon;
  let server: GitServer;
  let builds = 0;

  const frontend = ['build', '--progress', 'plain', '--frontend', 'dockerfile.v0'];
  const read = (folder: string, path: string): string => readFileSync(join(folder, path), 'utf8');
  const nextFolder = (): string => join(scratch.folder, `build-${++builds}`);

  /** A build whose context is the repository. */
  async function fromContext(url: string, ...more: string[]) {
    const out = nextFolder();
    const args = [...frontend, '--opt', `context=${url}`, '--output', `type=local,dest=${out}`, ...more];
    return { out, ...(await daemon.buildctl([], args)) };
  }

  /** A build of that Dockerfile. */
  async function fromFile(dockerfile: string, ...more: string[]) {
    const name = nextFolder();
    const args = [
      ...writeContext(name, { Dockerfile: dockerfile }),
      '--output',
      `type=local,dest=${name}-out`,
      ...more,
    ];
    return { out: `${name}-out`, ...(await daemon.buildctl([], args)) };
  }

  before(async () => {
    scratch = await makeScratch();
    server = await GitServer.start(join(scratch.folder, 'repositories'));
    daemon = await Daemon.start(scratch.folder);
    server.create('app');
    server.commit('app', {
      Dockerfile: 'FROM scratch\nCOPY . /\n',
      '.dockerignore': 'secret\n',
      text: 'one',
      secret: 'x',
      'sub/Dockerfile': 'FROM scratch\nCOPY here /\n',
      'sub/here': 'below',
    });
    server.git('app', 'tag', '-a', 'v1', '-m', 'v1');
    server.commit('app', { text: 'two' });
  });
  after(async () => {
    await daemon?.end();
    await server?.stop();
    await scratch?.remove();
  });

  void test('contexts: branches, tags, folders; unchanged they are not fetched again', async () => {
    const first = await fromContext(`${server.url('app')}`);
    assert.equal(first.code, 0, first.stderr);
    assert.equal(read(first.out, 'text'), 'two');
    // As upstream has it, the ignore file of a repository is not looked at.
    assert.ok(existsSync(join(first.out, 'secret')));
    assert.ok(!existsSync(join(first.out, '.git')));

    const asked = server.asked.length;
    const again = await fromContext(`${server.url('app')}`);
    const step = readSteps(again.stderr).get(`[internal] load git source ${server.url('app')}`);
    assert.equal(step?.cached, true, again.stderr);
    assert.ok(!server.asked.slice(asked).some((url) => url.startsWith('POST')));
    const tagged = await fromContext(`${server.url('app')}#v1`);
    assert.equal(read(tagged.out, 'text'), 'one');
    const below = await fromContext(`${server.url('app')}#:sub`);
    assert.deepEqual(readdirSync(below.out), ['here']);
    const other = await fromContext(`${server.url('app')}?branch=none`);
    assert.equal(other.code, 1);
    assert.match(other.stderr, /repository does not contain ref refs\/heads\/none/);
  });

  void test('history is kept when asked for; times are those of the commit with SOURCE_DATE_EPOCH', async () => {
    const keep = ['--opt', 'build-arg:BUILDKIT_CONTEXT_KEEP_GIT_DIR=1', '--opt', 'build-arg:SOURCE_DATE_EPOCH=5'];
    const { out, code, stderr } = await fromContext(`${server.url('app')}#v1`, ...keep);
    assert.equal(code, 0, stderr);
    const git = ['-c', 'safe.directory=*', '-C', out];
    assert.equal((await mustRun('git', [...git, 'describe', '--exact-match'])).trim(), 'v1');
    assert.equal((await mustRun('git', [...git, 'remote', 'get-url', 'origin'])).trim(), server.url('app'));
    assert.equal(statSync(join(out, 'text')).mtimeMs, 5000);
  });

  void test('ADD and named contexts', async () => {
    const commit = server.git('app', 'rev-parse', 'v1^{commit}');
    const add = await fromFile(
      `FROM scratch\nADD --checksum=${commit} ${server.url('app')}#v1 /plain/\nADD --keep-git-dir=true ${server.url('app')}?ref=main /kept/\nCOPY --from=repo text /named\n`,
      '--opt',
      `context:repo=${server.url('app')}#v1`,
    );
    assert.equal(add.code, 0, add.stderr);
    assert.deepEqual(
      [read(add.out, 'plain/text'), read(add.out, 'kept/text'), read(add.out, 'named')],
      ['one', 'two', 'one'],
    );
    assert.deepEqual([existsSync(join(add.out, 'plain/.git')), existsSync(join(add.out, 'kept/.git'))], [false, true]);
    const wrong = await fromFile(`FROM scratch\nADD --checksum=${'0'.repeat(40)} ${server.url('app')}#v1 /\n`);
    assert.equal(wrong.code, 1);
    assert.match(wrong.stderr, /expected checksum to match 0{40}, got [0-9a-f]{40}/);
  });

  void test('a token opens a closed repository, and nobody sees it', async () => {
    const token = 'very-s3cret-token';
    server.create('closed');
    server.commit('closed', { Dockerfile: 'FROM scratch\nCOPY Dockerfile /\n' });
    server.login = `x-access-token:${token}`;
    try {
      const url = server.url('closed');
      const without = await fromContext(url);
      assert.equal(without.code, 1);
      assert.match(without.stderr, /terminal prompts disabled/);
      const file = join(scratch.folder, 'token');
      writeFileSync(file, `${token}\n`);
      const secret = ['--secret', `id=GIT_AUTH_TOKEN.${server.host},src=${file}`];
      const opened = await fromContext(url, ...secret);
      assert.equal(opened.code, 0, opened.stderr);
      const inUrl = await fromContext(url.replace('http://', 'http://x-access-token:wr0ng-password@'));
      assert.equal(inUrl.code, 1);
      const said = [without.stderr, opened.stderr, inUrl.stderr, daemon.log, JSON.stringify(await daemon.usage())].join(
        '',
      );
      for (const word of [token, Buffer.from(server.login).toString('base64'), 'wr0ng-password']) {
        assert.ok(!said.includes(word), word);
      }
    } finally {
      server.login = undefined;
    }
  });

  void test('hostile refs and addresses stay words', async () => {
    for (const context of [
      `${server.url('app')}#--upload-pack=touch /tmp/x`,
      `${server.url('app')}?ref=--output=/tmp/x`,
      'git://-oProxyCommand=touch/x',
    ]) {
      const { code, stderr } = await fromContext(context);
      assert.equal(code, 1, context);
      assert.match(stderr, /invalid git ref|failed to fetch remote|error fetching default branch/, context);
    }
  });

  void test('a client that leaves a silent server leaves no git behind', async () => {
    server.isStalled = true;
    try {
      const asked = server.asked.length;
      const args = [...frontend, '--opt', `context=${server.url('app')}#silent`];
      const running = daemon.spawnBuildctl(args);
      await until('git waits for the server', () => server.asked.length > asked);
      assert.ok(processesWith(server.host).length > 0);
      running.signal('SIGINT');
      assert.notEqual((await running.ended).code, 0);
      await until('git has ended', () => processesWith(server.host).length === 0);
    } finally {
      server.isStalled = false;
    }
    const next = await fromContext(server.url('app'));
    assert.equal(next.code, 0, next.stderr);
  });

  void test('a daemon that is killed while it fetches fetches again', async () => {
    server.create('late');
    server.commit('late', { Dockerfile: 'FROM scratch\nCOPY Dockerfile /\n' });
    const warm = await fromContext(server.url('late'));
    assert.equal(warm.code, 0, warm.stderr);
    server.commit('late', { text: 'x' });
    server.isStalled = true;
    const asked = server.asked.length;
    const running = daemon.spawnBuildctl([...frontend, '--opt', `context=${server.url('late')}`]);
    await until('git waits for the server', () => server.asked.length > asked);
    await daemon.kill();
    await running.ended;
    await until('git has ended with it', () => processesWith(server.host).length === 0);
    server.isStalled = false;
    await daemon.restart();
    const { code, stderr } = await fromContext(server.url('late'));
    assert.equal(code, 0, stderr);
  });

  void test('nothing is left', () => daemon.stopWithoutLeaks());
});
