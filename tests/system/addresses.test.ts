/** Where clients reach the daemon besides its unix socket: TCP, mutual TLS, a socket that systemd opened before. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { copyFileSync, existsSync, linkSync, mkdirSync } from 'node:fs';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Authority } from './certificates.ts';
import type { KeyPair } from './certificates.ts';
import { Daemon } from './daemon.ts';
import { run, until } from './process.ts';
import type { Ended } from './process.ts';
import { cannotRun, makeScratch, project, writeContext } from './scratch.ts';
import type { Scratch } from './scratch.ts';

const skip = cannotRun || (existsSync('/usr/bin/openssl') ? false : 'needs openssl');

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

void describe('addresses', { skip, timeout: 150_000 }, () => {
  let scratch: Scratch;
  let daemon: Daemon;
  let authority: Authority;
  let client: KeyPair;
  let address: string;

  const buildctl = (...args: string[]): Promise<Ended> => run(join(project, 'bin/buildctl'), args, 60_000);
  const credentials = (pair: KeyPair): string[] =>
    ['--tlscacert', authority.cert].concat('--tlscert', pair.cert, '--tlskey', pair.key);

  before(async () => {
    scratch = await makeScratch();
    authority = await Authority.make(scratch.folder, 'authority');
    const server = await authority.issue('server', 'DNS:builder.test', 'IP:127.0.0.1');
    client = await authority.issue('client');
    address = `tcp://127.0.0.1:${await freePort()}`;
    const tls = ['--tlscacert', authority.cert, '--tlscert', server.cert, '--tlskey', server.key];
    daemon = await Daemon.start(scratch.folder, '--addr', address, ...tls);
  });
  after(async () => {
    await daemon?.end();
    await scratch?.remove();
  });

  void test('a whole build over mutual TLS', async () => {
    const context = writeContext(join(scratch.folder, 'context'), {
      Dockerfile: 'FROM busybox AS run\nCOPY text /\nRUN cat /text > /out\nFROM scratch\nCOPY --from=run /out /\n',
      text: 'over the wire\n',
    });
    const output = ['--output', `type=local,dest=${join(scratch.folder, 'out')}`];
    const { code, stderr } = await buildctl(
      '--addr',
      address,
      ...credentials(client),
      ...context,
      ...scratch.busybox,
      ...output,
    );
    assert.equal(code, 0, stderr);
    assert.ok(existsSync(join(scratch.folder, 'out/out')));
  });

  void test('a folder holds the files of TLS, under either set of names', async () => {
    for (const names of [
      ['ca.pem', 'cert.pem', 'key.pem'],
      ['ca.crt', 'tls.crt', 'tls.key'],
    ]) {
      const folder = join(scratch.folder, names[0]);
      mkdirSync(folder);
      for (const [at, from] of [authority.cert, client.cert, client.key].entries())
        copyFileSync(from, join(folder, names[at]));
      const { code, stderr } = await buildctl('--addr', address, '--tlsdir', folder, 'debug', 'info');
      assert.equal(code, 0, stderr);
    }
  });

  void test('without --tlscacert a daemon is trusted whom the machine trusts, and no other', async () => {
    const pair = ['--tlscert', client.cert, '--tlskey', client.key, '--tlsservername', 'builder.test'];
    const info = (trusted: string): Promise<Ended> =>
      run(
        'env',
        [`SSL_CERT_FILE=${trusted}`, join(project, 'bin/buildctl'), '--addr', address, ...pair, 'debug', 'info'],
        60_000,
      );
    const known = await info(authority.cert);
    assert.equal(known.code, 0, known.stderr);
    const foreign = await Authority.make(scratch.folder, 'foreign');
    const unknown = await info(foreign.cert);
    assert.equal(unknown.code, 1);
    assert.match(unknown.stderr, /certificate/);
  });

  void test('who has no certificate, or a stranger’s, is not let in', async () => {
    const strangers = await Authority.make(scratch.folder, 'strangers');
    const stranger = await strangers.issue('stranger');
    const attempts = [[], ['--tlscacert', authority.cert], credentials(stranger)];
    for (const flags of attempts) {
      const { code, stdout, stderr } = await buildctl('--addr', address, '--timeout', '3', ...flags, 'debug', 'info');
      assert.notEqual(code, 0, stdout);
      assert.notEqual(stderr, '');
    }
    assert.equal((await daemon.buildctl([], ['debug', 'info'])).code, 0);
  });

  void test('a daemon whose certificate has another name is not trusted, unless that name is asked for', async () => {
    const named = (name: string): Promise<Ended> =>
      buildctl('--addr', address, ...credentials(client), '--tlsservername', name, 'debug', 'info');
    assert.equal((await named('builder.test')).code, 0);
    const other = await named('other.test');
    assert.notEqual(other.code, 0);
    assert.match(other.stderr, /other\.test/);
  });

  void test('it stops and leaves nothing behind', () => daemon.stopWithoutLeaks());

  void test('a socket that was opened before is served under fd://', async () => {
    const folder = join(scratch.folder, 'activated');
    mkdirSync(folder);
    const path = join(folder, 'sock');
    const opened = createServer().listen(join(folder, 'opened'));
    await once(opened, 'listening');
    // Node removes a socket's first name when it closes it.
    linkSync(join(folder, 'opened'), path);
    const handle = (opened as unknown as { _handle: { fd: number } })._handle;
    const args = [
      '--root',
      join(folder, 'root'),
      '--addr',
      'fd://',
      '--config',
      join(scratch.folder, 'buildkitd.toml'),
    ];
    const activated = spawn(
      'sh',
      ['-c', 'LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"', 'sh', join(project, 'bin/buildkitd'), ...args],
      { stdio: ['ignore', 'ignore', 'ignore', handle.fd], env: { ...process.env, BUILDKIT_TS_NO_REBUILD: '1' } },
    );
    try {
      const answers = async (): Promise<boolean> =>
        (await buildctl('--addr', `unix://${path}`, '--timeout', '1', 'debug', 'info')).code === 0;
      // Both processes listen on one socket; only the daemon may accept.
      opened.close();
      await until('the daemon answers on the socket it was given', answers, 20_000);
    } finally {
      activated.kill('SIGTERM');
      if (activated.exitCode === null && activated.signalCode === null) await once(activated, 'exit');
    }
    assert.equal(activated.exitCode, 0);
  });

  void test('fd:// without a socket says so', async () => {
    const args = ['--root', join(scratch.folder, 'none'), '--addr', 'fd://'];
    const { code, stderr } = await run(join(project, 'bin/buildkitd'), args);
    assert.notEqual(code, 0);
    assert.match(stderr, /no sockets found via socket activation: make sure the service was started by systemd/);
  });
});
