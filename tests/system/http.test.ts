/** Files and contexts from a real HTTP server. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import type { RequestListener, Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { Daemon } from './daemon.ts';
import { mustRun, until } from './process.ts';
import { cannotRun, makeScratch, writeContext } from './scratch.ts';
import type { Scratch } from './scratch.ts';

const LAST_MODIFIED = 'Sun, 06 Nov 1994 08:49:37 GMT';

void describe('http', { skip: cannotRun, timeout: 200_000 }, () => {
  let scratch: Scratch;
  let daemon: Daemon;
  let server: Server;
  let url: string;
  let builds = 0;
  const routes = new Map<string, RequestListener>();
  let asked: string[] = [];

  const serveFile =
    (body: string | Buffer, headers: Readonly<Record<string, string>> = {}): RequestListener =>
    (request, response) => {
      const known = headers.etag !== undefined && request.headers['if-none-match'] === headers.etag;
      response.writeHead(known ? 304 : 200, headers).end(known || request.method === 'HEAD' ? undefined : body);
    };

  /** Builds the files, of which one is a Dockerfile (none: the options say where it is); gives the folder of the result. */
  async function build(
    files: Readonly<Record<string, string>> | undefined,
    ...more: string[]
  ): Promise<{ code: number; out: string; stderr: string }> {
    const name = join(scratch.folder, `build-${++builds}`);
    const out = `${name}-out`;
    const start =
      files === undefined ? ['build', '--progress', 'plain', '--frontend', 'dockerfile.v0'] : writeContext(name, files);
    const { code, stderr } = await daemon.buildctl([], [...start, '--output', `type=local,dest=${out}`, ...more]);
    return { code, out, stderr };
  }

  before(async () => {
    scratch = await makeScratch();
    daemon = await Daemon.start(scratch.folder);
    server = createServer((request, response) => {
      asked.push(`${request.method} ${request.url}`);
      const route = routes.get(request.url ?? '');
      if (route === undefined) response.writeHead(404).end('no such file');
      else route(request, response);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  after(async () => {
    await daemon?.end();
    server?.closeAllConnections();
    server?.close();
    await scratch?.remove();
  });
  beforeEach(() => {
    asked = [];
    routes.clear();
  });

  void test('ADD: fetched once, then asked about; modes, times, checksums', async () => {
    routes.set('/dir/file', serveFile('one', { etag: '"1"', 'last-modified': LAST_MODIFIED }));
    const digest = createHash('sha256').update('one').digest('hex');
    const Dockerfile = `FROM scratch
ADD ${url}/dir/file /plain/
ADD --chmod=751 ${url}/dir/file /run
ADD --checksum=sha256:${digest} ${url}/dir/file /checked
`;
    const first = await build({ Dockerfile });
    assert.equal(first.code, 0, first.stderr);
    const stat = statSync(join(first.out, 'plain/file'));
    assert.equal(readFileSync(join(first.out, 'plain/file'), 'utf8'), 'one');
    assert.deepEqual([stat.mode & 0o777, stat.mtimeMs], [0o600, Date.parse(LAST_MODIFIED)]);
    assert.equal(statSync(join(first.out, 'run')).mode & 0o777, 0o751);
    assert.equal(readFileSync(join(first.out, 'checked'), 'utf8'), 'one');
    assert.deepEqual(asked.splice(0), ['GET /dir/file']);
    const second = await build({ Dockerfile });
    assert.equal(second.code, 0, second.stderr);
    assert.deepEqual(asked.splice(0), ['HEAD /dir/file']);
    routes.set('/dir/file', serveFile('two', { etag: '"2"' }));
    const changed = await build({ Dockerfile: `FROM scratch\nADD ${url}/dir/file /\n` });
    assert.equal(readFileSync(join(changed.out, 'file'), 'utf8'), 'two');
    assert.deepEqual(asked.splice(0), ['HEAD /dir/file', 'GET /dir/file']);
    // What the checksum stands for is known still, and nobody needs to be asked.
    const pinned = await build({ Dockerfile: `FROM scratch\nADD --checksum=sha256:${digest} ${url}/dir/file /\n` });
    assert.equal(readFileSync(join(pinned.out, 'file'), 'utf8'), 'one');
    const other = createHash('sha256').update('three').digest('hex');
    const wrong = await build({ Dockerfile: `FROM scratch\nADD --checksum=sha256:${other} ${url}/dir/file /\n` });
    assert.notEqual(wrong.code, 0);
    assert.match(wrong.stderr, new RegExp(`digest mismatch sha256:[0-9a-f]{64}: sha256:${other}`));
  });

  void test('archives are added as they are, unless they are to be unpacked', async () => {
    const folder = join(scratch.folder, 'tarball');
    writeContext(folder, { 'in/side': 'packed' });
    await mustRun('tar', ['-C', folder, '-czf', `${folder}.tgz`, '.']);
    const archive = readFileSync(`${folder}.tgz`);
    routes.set('/a.tgz', serveFile(archive));
    const Dockerfile = `FROM scratch\nADD ${url}/a.tgz /\nADD --unpack=true ${url}/a.tgz /unpacked/\n`;
    const { code, out, stderr } = await build({ Dockerfile });
    assert.equal(code, 0, stderr);
    assert.deepEqual(readFileSync(join(out, 'a.tgz')), archive);
    assert.equal(readFileSync(join(out, 'unpacked/in/side'), 'utf8'), 'packed');
  });

  void test('contexts: an archive, a lone Dockerfile, a named one', async () => {
    const folder = join(scratch.folder, 'remote');
    writeContext(folder, { 'my.Dockerfile': 'FROM scratch\nCOPY said /\n', said: 'hello' });
    await mustRun('tar', ['-C', folder, '-cf', `${folder}.tar`, '.']);
    routes.set('/context', serveFile(readFileSync(`${folder}.tar`)));
    const archive = await build(undefined, '--opt', `context=${url}/context`, '--opt', 'filename=my.Dockerfile');
    assert.equal(archive.code, 0, archive.stderr);
    assert.equal(readFileSync(join(archive.out, 'said'), 'utf8'), 'hello');
    routes.set('/df', serveFile('FROM scratch\nCOPY <<EOF /made\nhere\nEOF\n'));
    const lone = await build(undefined, '--opt', `context=${url}/df`, '--opt', 'filename=anything');
    assert.equal(lone.code, 0, lone.stderr);
    assert.equal(readFileSync(join(lone.out, 'made'), 'utf8'), 'here\n');
    routes.set('/data', serveFile('named'));
    const Dockerfile = 'FROM scratch\nCOPY --from=data context /data\n';
    const named = await build({ Dockerfile }, '--opt', `context:data=${url}/data`);
    assert.equal(named.code, 0, named.stderr);
    assert.equal(readFileSync(join(named.out, 'data'), 'utf8'), 'named');
  });

  void test('servers that refuse, lead in circles, break off or fall silent end only their own build', async () => {
    routes.set('/circle', (_, response) => response.writeHead(302, { location: '/circle' }).end());
    routes.set('/cut', (_, response) => {
      response.writeHead(200, { 'content-length': '1000000' }).write('half');
      setTimeout(() => response.destroy(), 50);
    });
    routes.set('/silent', (_, response) => void response.writeHead(200).write('half'));
    const add = (path: string): Record<string, string> => ({ Dockerfile: `FROM scratch\nADD ${url}${path} /\n` });
    for (const [path, message] of [
      ['/none', 'invalid response status 404'],
      ['/circle', `Get "${url}/circle": stopped after 10 redirects`],
      ['/cut', 'unexpected EOF'],
    ] as const) {
      const { code, stderr } = await build(add(path));
      assert.notEqual(code, 0);
      assert.ok(stderr.includes(message), stderr);
    }
    const context = join(scratch.folder, 'silent');
    const waiting = daemon.spawnBuildctl(writeContext(context, add('/silent')));
    await until('the server is asked', () => asked.includes('GET /silent'));
    waiting.signal('SIGINT');
    assert.notEqual((await waiting.ended).code, 0);
    assert.deepEqual(
      (await daemon.usage()).filter((u) => /\/(none|circle|cut|silent)$/.test(u.description)),
      [],
    );
    await daemon.stopWithoutLeaks();
  });
});
