import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, request } from 'node:http';
import type { IncomingHttpHeaders, RequestListener } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { connect, createServer as createTcpServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, after, describe, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { issueFor, makeAuthority } from './certificate.ts';
import type { Authority } from './certificate.ts';
import { Gatekeeper, RequestJournal } from './index.ts';
import type { Guard, Judge } from './index.ts';

const skip = process.getuid?.() === 0 ? false : 'needs root';
const OWN = '/proc/thread-self/ns/net';
const never = new AbortController().signal;
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  /** Whether all of it came. */
  readonly complete: boolean;
}

/** A request as it goes to a proxy, or, with `socket`, into a tunnel. */
function ask(
  port: number,
  path: string,
  options: { method?: string; headers?: Record<string, string>; body?: string; socket?: Socket } = {},
): Promise<Answer> {
  const { method = 'GET', headers = {}, body, socket } = options;
  return new Promise((resolve, reject) => {
    const to =
      socket === undefined ? ({ host: '127.0.0.1', port, agent: false } as const) : { createConnection: () => socket };
    const sent = request({ ...to, method, path, headers }, (answer) => {
      let text = '';
      answer.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
      answer.on('error', () => {});
      answer.on('close', () => {
        const { statusCode = 0, headers: got, complete } = answer;
        resolve({ status: statusCode, headers: got, body: text, complete });
      });
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

/** TLS through a tunnel of the proxy. */
function tunnel(port: number, authority: string, ca: string, servername: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(`CONNECT ${authority} HTTP/1.1\r\n\r\n`));
    socket.once('error', reject);
    socket.once('data', (head: Buffer) => {
      if (!head.toString().startsWith('HTTP/1.1 200 Connection Established\r\n\r\n')) {
        socket.destroy();
        reject(new Error(head.toString()));
        return;
      }
      const tls = connectTls({ socket, ca, host: servername }, () => resolve(tls));
      tls.on('error', reject);
    });
  });
}

void describe('proxies of steps', { skip, timeout: 60_000 }, () => {
  const servers: Server[] = [];
  const guards: Guard[] = [];
  let folder: string;
  let origins: Authority;
  let keeper: Gatekeeper;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'gatekeeper-'));
    origins = await makeAuthority(Date.now());
    writeFileSync(join(folder, 'ca.pem'), origins.cert);
    // Whom the machine trusts, for the thread that is started later.
    process.env['SSL_CERT_FILE'] = join(folder, 'ca.pem');
    keeper = new Gatekeeper();
  });
  after(async () => {
    await Promise.all(guards.map((guard) => guard.close()));
    await keeper.close();
    for (const server of servers) {
      (server as Partial<{ closeAllConnections(): void }>).closeAllConnections?.();
      server.close();
    }
    rmSync(folder, { recursive: true, force: true });
  });

  const serve = async (server: Server): Promise<string> => {
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return `127.0.0.1:${(server.address() as AddressInfo).port}`;
  };
  const origin = async (listener: RequestListener): Promise<string> => `http://${await serve(createServer(listener))}`;

  async function guarded(judge?: Judge): Promise<{ port: number; journal: RequestJournal; guard: Guard }> {
    const journal = new RequestJournal();
    const guard = await keeper.guard(
      {
        namespace: OWN,
        address: '127.0.0.1',
        egress: { kind: 'host' },
        judge,
        note: (note) => journal.add(note),
      },
      never,
    );
    guards.push(guard);
    return { port: guard.port, journal, guard };
  }

  void test('a request passes with its body, and what came back is noted', async () => {
    const seen: { method?: string; headers: IncomingHttpHeaders; body: string }[] = [];
    const url = await origin((from, to) => {
      let body = '';
      from.on('data', (chunk: Buffer) => (body += chunk.toString()));
      from.on('end', () => {
        seen.push({ method: from.method as string, headers: from.headers, body });
        to.writeHead(200, { 'X-Own': ['a', 'b'] }).end('the file');
      });
    });
    const { port, journal, guard } = await guarded();
    const hop = { 'Proxy-Authorization': 'x', 'Accept-Encoding': 'gzip', Connection: 'close, X-Near', 'X-Near': '1' };
    const got = await ask(port, `${url}/a?b=%2e`, { headers: { ...hop, 'X-Far': '2' } });
    assert.equal(got.status, 200);
    assert.equal(got.body, 'the file');
    assert.equal(got.headers['x-own'], 'a, b');
    const posted = await ask(port, `${url}/up`, {
      method: 'POST',
      body: 'up',
      headers: { 'Transfer-Encoding': 'chunked' },
    });
    assert.equal(posted.status, 200);
    await guard.close();
    assert.deepEqual(
      seen.map((s) => [s.method, s.body]),
      [
        ['GET', ''],
        ['POST', 'up'],
      ],
    );
    const { headers } = seen[0] as (typeof seen)[0];
    assert.equal(headers.host, url.slice('http://'.length));
    assert.equal(headers['x-far'], '2');
    for (const name of ['proxy-authorization', 'accept-encoding', 'x-near'])
      assert.equal(headers[name], undefined, name);
    assert.equal(journal.text, `proxy network requests:\n- GET ${url}/a?b=%2e -> 200\n- POST ${url}/up -> 200\n`);
    assert.deepEqual(journal.materials, [{ url: `${url}/a?b=%2e`, sha256: sha256('the file') }]);
    assert.deepEqual(
      journal.incomplete.map(({ method, reason }) => [method, reason]),
      [['POST', 'method_not_materializable']],
    );
  });

  void test('the proxy is the server in a tunnel, and the server behind it has to be trusted', async () => {
    const cert = issueFor('127.0.0.1', origins, Date.now());
    const listener: RequestListener = (from, to) => void to.end(`${from.url} ${from.headers.host}`);
    const good = await serve(createTlsServer({ cert, key: origins.serverKey }, listener));
    const other = await makeAuthority(Date.now());
    const unknown = issueFor('127.0.0.1', other, Date.now());
    const bad = await serve(createTlsServer({ cert: unknown, key: other.serverKey }, listener));
    const { port, journal, guard } = await guarded();

    const socket = await tunnel(port, good, guard.authority, '127.0.0.1');
    // Whatever else the request says: it goes where the tunnel leads.
    const answer = await ask(0, '/x', { socket, headers: { Host: 'elsewhere.test' } });
    assert.deepEqual([answer.status, answer.body], [200, `/x ${good}`]);

    const refused = await ask(0, '/y', { socket: await tunnel(port, bad, guard.authority, '127.0.0.1') });
    assert.equal(refused.status, 502);
    assert.match(refused.body, /x509: certificate signed by unknown authority/);
    await guard.close();
    assert.equal(
      journal.text,
      `proxy network requests:\n- GET https://${good}/x -> 200\n- GET https://${bad}/y -> 502\n`,
    );
    assert.deepEqual(journal.materials, [{ url: `https://${good}/x`, sha256: sha256(`/x ${good}`) }]);
  });

  void test('the judge says no, or something else', async () => {
    let hits = '';
    const url = await origin((from, to) => {
      hits += from.url;
      to.end('body');
    });
    const asked: string[] = [];
    const { port, journal, guard } = await guarded(async (r) => {
      asked.push(r.url);
      if (r.url.includes('/denied')) throw new Error('denied');
      return r.url.includes('/from') ? `${url}/to` : undefined;
    });
    const denied = await ask(port, `http://me:secret@${url.slice(7)}/denied`);
    assert.deepEqual([denied.status, denied.body], [403, 'Forbidden\n']);
    assert.equal((await ask(port, `${url}/from`)).body, 'body');
    // The same by another spelling.
    assert.equal((await ask(port, `${url}/x/../denied`)).status, 403);
    await guard.close();
    assert.deepEqual(asked, [`http://xxxxx:xxxxx@${url.slice(7)}/denied`, `${url}/from`, `${url}/denied`]);
    assert.equal(hits, '/to');
    assert.equal(journal.text, `proxy network requests:\n- GET ${url}/to -> 200\n`);
  });

  void test('where redirects lead is a material of each URL on the way, circles are none', async () => {
    const routes: Record<string, string> = { '/a': '/b', '/b': '/c', '/round': '/and', '/and': '/round' };
    const url = await origin((from, to) => {
      const location = routes[from.url ?? ''];
      if (location === undefined) to.end('here');
      else to.writeHead(302, { location }).end();
    });
    const { port, journal, guard } = await guarded();
    for (const path of ['/a', '/b', '/c', '/round', '/and']) await ask(port, url + path);
    await guard.close();
    const digest = sha256('here');
    assert.deepEqual(
      [...journal.materials].sort((a, b) => a.url.localeCompare(b.url)),
      ['/a', '/b', '/c'].map((path) => ({ url: url + path, sha256: digest })),
    );
    assert.deepEqual(journal.incomplete, []);
  });

  void test('a step that asks for one thing alone and says so gets its answer', async () => {
    const url = await origin((_from, to) => void setTimeout(() => to.end('late'), 200));
    const { port } = await guarded();
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    socket.end(`GET ${url}/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
    let got = '';
    for await (const chunk of socket) got += String(chunk);
    assert.match(got, /^HTTP\/1.1 200 OK\r\n[^]*late/);
  });

  void test('servers that lie, hang up or send too much', async () => {
    const lines: Record<string, string> = {
      '/short': 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf',
      '/cut': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n',
      '/huge': `HTTP/1.1 200 OK\r\nX: ${'a'.repeat(300_000)}\r\n\r\n`,
      '/nothing': '',
      '/garbage': 'SSH-2.0-x\r\n',
      '/split': 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      '/switch': 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n',
      '/missing': 'HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n',
      '/part': 'HTTP/1.1 206 Partial Content\r\nContent-Length: 1\r\n\r\na',
      '/close': 'HTTP/1.1 200 OK\r\n\r\nall of it',
    };
    const server = createTcpServer((socket) => {
      socket.on('error', () => {});
      socket.once('data', (head) => socket.end(lines[/ (\S+)/.exec(head.toString())?.[1] ?? '']));
    });
    const url = `http://${await serve(server)}`;
    const { port, journal, guard } = await guarded();
    const got: Record<string, unknown> = {};
    for (const path of Object.keys(lines)) {
      const answer = await ask(port, url + path);
      got[path] = answer.status === 502 ? 502 : [answer.status, answer.body, answer.complete];
    }
    await guard.close();
    assert.deepEqual(got, {
      '/short': [200, 'half', false],
      '/cut': [200, 'half', false],
      '/huge': 502,
      '/nothing': 502,
      '/garbage': 502,
      '/split': 502,
      '/switch': 502,
      '/missing': [404, '', true],
      '/part': [206, 'a', true],
      '/close': [200, 'all of it', true],
    });
    assert.deepEqual(journal.materials, [{ url: `${url}/close`, sha256: sha256('all of it') }]);
    assert.deepEqual(
      journal.incomplete.map(({ url: u, reason }) => [u.slice(url.length), reason]),
      [
        ['/short', 'body_read_failed'],
        ['/cut', 'body_read_failed'],
        ['/huge', 'upstream_error'],
        ['/nothing', 'upstream_error'],
        ['/garbage', 'upstream_error'],
        ['/split', 'upstream_error'],
        ['/switch', 'upstream_error'],
        ['/missing', 'unsuccessful_response'],
        ['/part', 'partial_response'],
      ],
    );
  });

  void test('steps that ask for nonsense', async () => {
    const { port, journal, guard } = await guarded();
    const say = (text: string): Promise<string> =>
      new Promise((resolve) => {
        let all = '';
        const socket = connect(port, '127.0.0.1', () => socket.write(text));
        socket.on('data', (chunk: Buffer) => (all += chunk.toString()));
        socket.on('error', () => {});
        socket.on('close', () => resolve(all.split('\r\n')[0] as string));
      });
    const close = '\r\nHost: x\r\nConnection: close\r\n\r\n';
    assert.match(await say('nonsense\r\n\r\n'), /^HTTP\/1.1 400/);
    assert.match(await say(`GET ftp://host/x HTTP/1.1${close}`), /^HTTP\/1.1 400/);
    assert.match(await say(`GET http:// HTTP/1.1${close}`), /^HTTP\/1.1 400/);
    assert.match(await say(`OPTIONS * HTTP/1.1${close}`), /^HTTP\/1.1 400/);
    assert.match(await say(`CONNECT host HTTP/1.1\r\n\r\n`), /^HTTP\/1.1 400/);
    assert.match(await say(`CONNECT a,b:443 HTTP/1.1\r\n\r\n`), /^HTTP\/1.1 400/);
    assert.match(await say(`CONNECT host:443 HTTP/1.1\r\n\r\nSSH-2.0-x\r\n`), /^HTTP\/1.1 200/);
    assert.match(await say(`GET http://a/ HTTP/1.1\r\nX: ${'a'.repeat(300_000)}${close}`), /^HTTP\/1.1 4/);
    await guard.close();
    assert.equal(journal.text, '');
  });

  void test('a step that asks without waiting for answers is cut off', async () => {
    let waiting = 0;
    const url = await origin(() => void waiting++);
    const { port, journal, guard } = await guarded();
    const one = `GET ${url}/ HTTP/1.1\r\nHost: x\r\n\r\n`;
    const socket = connect(port, '127.0.0.1', () => socket.write(one.repeat(20_000)));
    await new Promise<void>((resolve) => {
      socket.on('error', () => {});
      socket.on('close', () => resolve());
    });
    assert.ok(waiting <= 2048, String(waiting));
    await guard.close();
    assert.ok(journal.incomplete.length <= 2048);
  });

  void test('the end does not wait for a server that stalls', async () => {
    let reached: () => void = () => {};
    const stalls = new Promise<void>((resolve) => (reached = resolve));
    const url = await origin(() => reached());
    const { port, journal, guard } = await guarded();
    const waiting = ask(port, `${url}/stall`).catch((error: Error) => error);
    await stalls;
    await guard.close();
    assert.ok((await waiting) instanceof Error);
    assert.equal(journal.text, `proxy network requests:\n- GET ${url}/stall\n`);
    assert.deepEqual(
      journal.incomplete.map((i) => i.reason),
      ['upstream_error'],
    );
    await assert.rejects(ask(port, url), /ECONNREFUSED/);
  });
});

void test('what a step can make the daemon keep is bounded, and what is left out is told', () => {
  const journal = new RequestJournal();
  const url = `http://host/${'a'.repeat(10_000)}`;
  for (let i = 0; i < 1000; i++) journal.add({ kind: 'request', method: 'GET', url, status: 200 });
  assert.ok(journal.text.length < 5_000_000);
  assert.match(journal.text, /- and \d{3} more\n$/);
  assert.deepEqual(
    journal.incomplete.map((i) => i.reason),
    ['too_many_requests'],
  );
});
