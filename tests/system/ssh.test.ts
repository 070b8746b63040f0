/** Repositories from a real OpenSSH server, with the key files of a client. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { delimiter, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Daemon } from './daemon.ts';
import { mustRun, Running } from './process.ts';
import { cannotRun, makeScratch, writeContext } from './scratch.ts';
import type { Scratch } from './scratch.ts';

/** Where sshd separates its privileges; its service makes it. */
const RUN = '/run/sshd';
const KINDS = ['rsa', 'ecdsa', 'ed25519'] as const;

/** It must be started by its whole path. */
const sshd = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin']
  .map((folder) => join(folder, 'sshd'))
  .find((path) => existsSync(path));
const skip = cannotRun || (sshd === undefined || !existsSync('/usr/bin/ssh-keygen') ? 'needs OpenSSH' : false);

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

void describe('git over SSH', { skip, timeout: 200_000 }, () => {
  let scratch: Scratch;
  let daemon: Daemon;
  let server: Running;
  let port: number;
  let madeRun = false;
  const at = (name: string): string => join(scratch.folder, name);

  before(async () => {
    scratch = await makeScratch();
    for (const kind of [...KINDS, 'stranger']) {
      const type = kind === 'stranger' ? 'ed25519' : kind;
      await mustRun('ssh-keygen', ['-q', '-t', type, '-N', '', '-f', at(kind)]);
    }
    await mustRun('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', at('host')]);
    writeFileSync(at('authorized'), KINDS.map((kind) => readFileSync(at(`${kind}.pub`), 'utf8')).join(''));
    port = await freePort();
    const config = {
      Port: port,
      ListenAddress: '127.0.0.1',
      HostKey: at('host'),
      AuthorizedKeysFile: at('authorized'),
      PermitRootLogin: 'yes',
      PasswordAuthentication: 'no',
      UsePAM: 'no',
      StrictModes: 'no',
      PidFile: 'none',
    };
    const lines = Object.entries(config).map(([key, value]) => `${key} ${value}\n`);
    writeFileSync(at('sshd.conf'), lines.join(''));
    madeRun = mkdirSync(RUN, { recursive: true }) !== undefined;
    server = new Running(sshd as string, ['-D', '-e', '-f', at('sshd.conf')], { timeoutMs: 200_000 });
    await server.says('Server listening');
    await mustRun('git', ['init', '-q', at('repository')]);
    writeFileSync(join(at('repository'), 'file'), 'over SSH');
    const git = ['-C', at('repository'), '-c', 'user.name=a', '-c', 'user.email=a@b'];
    await mustRun('git', [...git, 'add', '.']);
    await mustRun('git', [...git, 'commit', '-q', '-m', 'first']);
    daemon = await Daemon.start(scratch.folder);
  });
  after(async () => {
    await daemon?.end();
    server?.signal('SIGTERM');
    await server?.ended;
    if (madeRun) rmdirSync(RUN);
    await scratch?.remove();
  });

  const build = (name: string, ...more: string[]): ReturnType<Daemon['buildctl']> => {
    const url = `ssh://root@127.0.0.1:${port}${at('repository')}/.git`;
    const context = writeContext(at(`context-${name}`), { Dockerfile: `FROM scratch\nADD ${url} /x\n` });
    return daemon.buildctl([], [...context, '--no-cache', '--output', `type=local,dest=${at(`out-${name}`)}`, ...more]);
  };

  for (const kind of KINDS) {
    void test(`with a key file of the kind ${kind}`, async () => {
      const { code, stderr } = await build(kind, '--ssh', `default=${at(kind)}`);
      assert.equal(code, 0, stderr);
      assert.equal(readFileSync(join(at(`out-${kind}`), 'x/file'), 'utf8'), 'over SSH');
    });
  }

  void test('with several key files the one that fits is found', async () => {
    const { code, stderr } = await build('several', '--ssh', `default=${at('stranger')},${at('ed25519')}`);
    assert.equal(code, 0, stderr);
  });

  void test('not with the key of a stranger', async () => {
    const { code, stderr } = await build('stranger', '--ssh', `default=${at('stranger')}`);
    assert.equal(code, 1);
    assert.match(stderr, /Permission denied \(publickey/);
    await daemon.stopWithoutLeaks();
  });
});
