/** Registries that want TLS, a user and a password, or stand in for another one. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Authority } from './certificates.ts';
import { Daemon } from './daemon.ts';
import { Running } from './process.ts';
import type { Ended } from './process.ts';
import { Registry } from './registry.ts';
import { cannotRun, makeScratch, project, writeContext } from './scratch.ts';
import type { Scratch } from './scratch.ts';

const skip =
  cannotRun ||
  (['docker-registry', 'openssl'].every((p) => existsSync(join('/usr/bin', p)))
    ? false
    : 'needs docker-registry and openssl');

const USER = 'builder';
const PASSWORD = 'open sesame';
/** Of that password: bcrypt, the one form that docker-registry reads. */
const HTPASSWD = `${USER}:$2y$05$KVHO2EGdYgDn9WotuBxvjuytbN/2N0OxNr4ljB7s98WZ3tQL9W1zi\n`;

void describe('access to registries', { skip, timeout: 150_000 }, () => {
  let scratch: Scratch;
  let daemon: Daemon;
  let guarded: Registry;
  let mirror: Registry;
  let unvouched: Registry;

  /** buildctl of a user whose docker config is in `folder` below the scratch. */
  function as(config: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Ended> {
    const all = ['--addr', daemon.address, ...args];
    const docker = { DOCKER_CONFIG: join(scratch.folder, config), BUILDKIT_HOST: '' };
    return new Running(join(project, 'bin/buildctl'), all, { timeoutMs: 60_000, env: { ...docker, ...env } }).ended;
  }

  function login(config: string, settings: object): void {
    mkdirSync(join(scratch.folder, config), { recursive: true });
    writeFileSync(join(scratch.folder, config, 'config.json'), JSON.stringify(settings));
  }

  const hello = (): string[] =>
    writeContext(join(scratch.folder, 'hello'), { Dockerfile: 'FROM busybox\nRUN echo guarded > /where\n' });
  const pushTo = (name: string): string[] => [
    ...hello(),
    ...scratch.busybox,
    '--output',
    `type=image,name=${name},push=true`,
  ];

  before(async () => {
    scratch = await makeScratch();
    const authority = await Authority.make(scratch.folder, 'authority');
    const tls = await authority.issue('registry', 'IP:127.0.0.1');
    guarded = await Registry.start(join(scratch.folder, 'guarded'), { htpasswd: HTPASSWD, tls });
    mirror = await Registry.start(join(scratch.folder, 'mirror'));
    const stranger = await Authority.make(scratch.folder, 'stranger-authority');
    const strangers = await stranger.issue('unvouched', 'IP:127.0.0.1');
    unvouched = await Registry.start(join(scratch.folder, 'unvouched'), { tls: strangers });
    writeFileSync(
      join(scratch.folder, 'buildkitd.toml'),
      `[registry."${guarded.host}"]\nhttp = false\nca = ["${authority.cert}"]\n` +
        `[registry."docker.io"]\nmirrors = ["${mirror.host}"]\n`,
    );
    daemon = await Daemon.start(scratch.folder);
  });
  after(async () => {
    await daemon?.end();
    await guarded?.stop();
    await mirror?.stop();
    await unvouched?.stop();
    await scratch?.remove();
  });

  void test('without a password nothing is pushed, and the error says who refused', async () => {
    login('nobody', {});
    const { code, stderr } = await as('nobody', pushTo(`${guarded.host}/tests/hello:1`));
    assert.notEqual(code, 0);
    assert.match(stderr, /401 Unauthorized|authorization failed/);
    assert.ok(stderr.includes(guarded.host), stderr);
  });

  void test('with the password of docker’s config an image is pushed and pulled, over TLS', async () => {
    const auth = Buffer.from(`${USER}:${PASSWORD}`).toString('base64');
    login('user', { auths: { [guarded.host]: { auth } } });
    const name = `${guarded.host}/tests/hello:1`;
    const pushed = await as('user', pushTo(name));
    assert.equal(pushed.code, 0, pushed.stderr);
    await daemon.ask('prune', '--all');
    const context = writeContext(join(scratch.folder, 'from-guarded'), {
      Dockerfile: `FROM ${name}\nRUN grep guarded /where\n`,
    });
    const pulled = await as('user', context);
    assert.equal(pulled.code, 0, pulled.stderr);
    assert.ok(!pushed.stderr.includes(PASSWORD) && !daemon.log.includes(PASSWORD));
  });

  void test('what one user pulled is not another’s without a password', async () => {
    const context = writeContext(join(scratch.folder, 'stranger'), {
      Dockerfile: `FROM ${guarded.host}/tests/hello:1\nRUN true\n`,
    });
    const { code, stderr } = await as('nobody', context);
    assert.notEqual(code, 0);
    assert.match(stderr, /401 Unauthorized|authorization failed/);
  });

  void test('one whose certificate nobody vouches for, where the client says that it may be insecure', async () => {
    const cache = `type=registry,ref=${unvouched.host}/tests/cache`;
    const image = `type=image,name=${unvouched.host}/tests/hello,push=true`;
    const build = (...args: string[]): Promise<Ended> => as('nobody', [...hello(), ...scratch.busybox, ...args]);
    const refused = await build('--output', image);
    assert.equal(refused.code, 1, refused.stderr);
    const insecure = ',registry.insecure=true';
    const pushed = await build('--output', image + insecure, '--export-cache', cache + insecure);
    assert.equal(pushed.code, 0, pushed.stderr);
    await daemon.ask('prune', '--all');
    const imported = await build('--import-cache', cache + insecure);
    assert.equal(imported.code, 0, imported.stderr);
    assert.match(imported.stderr, /^#(\d+) \[1\/2\] RUN .*\n#\1 CACHED$/m);
  });

  void test('a credential helper is asked', async () => {
    const folder = join(scratch.folder, 'programs');
    mkdirSync(folder);
    const answer = JSON.stringify({ Username: USER, Secret: PASSWORD });
    const helper = `#!/bin/sh\nread host\n[ "$1 $host" = "get ${guarded.host}" ] || exit 1\necho '${answer}'\n`;
    writeFileSync(join(folder, 'docker-credential-tests'), helper, { mode: 0o755 });
    login('helped', { credHelpers: { [guarded.host]: 'tests' } });
    const env = { PATH: `${folder}:${process.env.PATH}` };
    const { code, stderr } = await as('helped', pushTo(`${guarded.host}/tests/hello:2`), env);
    assert.equal(code, 0, stderr);
  });

  void test('a mirror is asked first, under the name of the registry that it stands in for', async () => {
    const name = `${mirror.host}/library/only-in-mirror:1`;
    const pushed = await as('nobody', pushTo(name));
    assert.equal(pushed.code, 0, pushed.stderr);
    const context = writeContext(join(scratch.folder, 'mirrored'), {
      Dockerfile: 'FROM only-in-mirror:1\nRUN grep guarded /where\n',
    });
    const { code, stderr } = await as('nobody', context);
    assert.equal(code, 0, stderr);
    assert.match(stderr, /FROM docker\.io\/library\/only-in-mirror:1/);
  });

  void test('it stops and leaves nothing behind', () => daemon.stopWithoutLeaks());
});
