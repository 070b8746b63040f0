/** What strangers may take, as `[limits]` of buildkitd.toml says it. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Daemon } from './daemon.ts';
import { mustRun } from './process.ts';
import { cannotRun, makeScratch, writeContext } from './scratch.ts';
import type { Scratch } from './scratch.ts';

const CONFIG = `
[limits]
  sourceIdleTimeout = "1s"
  [limits.archive]
    maxEntries = 4
    maxDepth = 3
    maxTotalSize = 100000
`;

void describe('limits', { skip: cannotRun, timeout: 200_000 }, () => {
  let scratch: Scratch;
  let daemon: Daemon;
  /** Takes a request; of a file it sends the beginning, else nothing, and then is silent. */
  let silent: Server;
  let host: string;
  const sockets = new Set<Socket>();
  let builds = 0;

  async function build(Dockerfile: string, tar: readonly string[] = []): Promise<{ code: number; stderr: string }> {
    const context = join(scratch.folder, `build-${++builds}`);
    const start = writeContext(context, {
      Dockerfile,
      '.dockerignore': '*\n!archive.tar\n',
      'few/1': 'x',
      'many/1': 'x',
      'many/2': 'x',
      'many/3': 'x',
      'many/4': 'x',
      'deep/b/c/d/e': 'x',
      'large/file': 'x'.repeat(200_000),
    });
    if (tar.length > 0) await mustRun('tar', ['-C', context, '-cf', join(context, 'archive.tar'), ...tar]);
    return daemon.buildctl([], start);
  }

  before(async () => {
    scratch = await makeScratch();
    writeFileSync(join(scratch.folder, 'buildkitd.toml'), CONFIG);
    daemon = await Daemon.start(scratch.folder);
    silent = createServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('data', (request) => {
        if (String(request).startsWith('GET /file'))
          socket.write('HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nhello');
      });
    });
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    host = `127.0.0.1:${(silent.address() as AddressInfo).port}`;
  });
  after(async () => {
    for (const socket of sockets) socket.destroy();
    silent?.close();
    await daemon?.end();
    await scratch?.remove();
  });

  void test('archives that ADD unpacks', async () => {
    const Dockerfile = 'FROM scratch\nADD archive.tar /\n';
    for (const [folder, says] of [
      ['many', /archive exceeds the limit of 4 entries/],
      ['deep', /archive exceeds the limit of 3 folders in a name/],
      ['large', /archive exceeds the limit of 100000 bytes/],
    ] as const) {
      const refused = await build(Dockerfile, [folder]);
      assert.notEqual(refused.code, 0, folder);
      assert.match(refused.stderr, says);
    }
    const taken = await build(Dockerfile, ['few']);
    assert.equal(taken.code, 0, taken.stderr);
  });

  void test('servers that fall silent are given up', async () => {
    for (const Dockerfile of [
      `FROM scratch\nADD http://${host}/file /\n`,
      `FROM scratch\nADD http://${host}/none /\n`,
      `FROM scratch\nADD http://${host}/repository.git /\n`,
    ]) {
      const { code, stderr } = await build(Dockerfile);
      assert.equal(code, 1, stderr);
      assert.match(stderr, /error: failed to solve: /);
    }
  });
});
