import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { IncomingMessage, RequestListener } from 'node:http';
import { createServer as createTcpServer } from 'node:net';
import type { AddressInfo, Server } from 'node:net';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { readLimited, Transport, TransportError } from './index.ts';
import type { TransportOptions } from './index.ts';

async function listen(t: TestContext, server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function serve(t: TestContext, handle: RequestListener): Promise<string> {
  const server = createServer(handle);
  t.after(() => server.closeAllConnections());
  return listen(t, server);
}

/** A server that says just that, and then hangs up or falls silent. */
function say(t: TestContext, text: string, hangUp: boolean): Promise<string> {
  const server = createTcpServer((socket) => {
    socket.on('error', () => {});
    t.after(() => socket.destroy());
    socket.once('data', () => (hangUp ? socket.end(text) : socket.write(text)));
  });
  return listen(t, server);
}

function open(t: TestContext, options: Partial<TransportOptions> = {}): Transport {
  const transport = new Transport({ idleTimeoutMs: 5000, env: {}, ...options });
  t.after(() => transport.close());
  return transport;
}

const text = async (response: Awaited<ReturnType<Transport['request']>>): Promise<string> =>
  (await readLimited(response, 1000, 'answer')).toString();

void test('redirects are followed, ten requests at most', async (t) => {
  const seen: (string | undefined)[] = [];
  const other = await serve(t, (request, response) => {
    seen.push(`${request.url} ${request.headers.authorization}`);
    response.end('there');
  });
  const host = await serve(t, (request, response) => {
    seen.push(`${request.url} ${request.headers.authorization}`);
    const to = request.url === '/away' ? `http://localhost:${other.split(':')[1]}/x` : '/loop';
    response.writeHead(302, { location: to }).end();
  });
  const transport = open(t);
  const headers = { authorization: 'secret' };
  const answer = await transport.request({ method: 'GET', url: `http://${host}/away`, headers });
  assert.equal(await text(answer), 'there');
  assert.equal(answer.url, `http://localhost:${other.split(':')[1]}/x`);
  assert.deepEqual(seen.splice(0), ['/away secret', '/x undefined']);
  await assert.rejects(transport.request({ method: 'GET', url: `http://${host}/loop` }), {
    message: `Get "http://${host}/loop": stopped after 10 redirects`,
  });
  assert.equal(seen.length, 10);
});

void test('who asks may be told by the URL', async (t) => {
  const host = await serve(t, (request, response) => response.end(request.headers.authorization));
  const answer = await open(t).request({ method: 'GET', url: `http://me:p%40ss@${host}/` });
  assert.equal(await text(answer), `Basic ${Buffer.from('me:p@ss').toString('base64')}`);
});

void test('failures are told in the words of Go, without passwords', async (t) => {
  const transport = open(t, { idleTimeoutMs: 50 });
  const ask = (url: string): Promise<string> => transport.request({ method: 'GET', url }).then(text);
  const unused = await say(t, '', true);
  const closed = createTcpServer();
  const nobody = await listen(t, closed);
  await new Promise((resolve) => closed.close(resolve));
  await assert.rejects(ask(`http://u:pw@${nobody}/`), (error: Error) => {
    assert.ok(error instanceof TransportError);
    assert.equal(error.message, `Get "http://u:***@${nobody}/": dial tcp ${nobody}: connect: connection refused`);
    return true;
  });
  await assert.rejects(ask(`http://${unused}/`), { message: `Get "http://${unused}/": EOF` });
  const cut = await say(t, 'HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf', true);
  await assert.rejects(ask(`http://${cut}/`), { message: `failed to read "http://${cut}/": unexpected EOF` });
  const chunk = await say(t, 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n', true);
  await assert.rejects(ask(`http://${chunk}/`), { message: `failed to read "http://${chunk}/": unexpected EOF` });
  const silent = await say(t, '', false);
  await assert.rejects(ask(`http://${silent}/`), /net\/http: timeout awaiting response headers/);
  const stalled = await say(t, 'HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf', false);
  await assert.rejects(ask(`http://${stalled}/`), /timeout awaiting response body/);
  const nonsense = await say(t, 'SSH-2.0-OpenSSH\r\n', true);
  await assert.rejects(ask(`http://${nonsense}/`), /HTTP\/1\.x transport connection broken/);
});

void test('an aborted request ends with the reason of its signal', async (t) => {
  const silent = await say(t, 'HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf', false);
  const abort = new AbortController();
  const request = { method: 'GET', url: `http://${silent}/`, signal: abort.signal };
  const answer = await open(t).request(request);
  const read = text(answer);
  abort.abort(new Error('enough'));
  await assert.rejects(read, /enough/);
  await assert.rejects(open(t).request(request), /enough/);
});

void test('a proxy is asked for plain HTTP, and tunnels what it does not read', async (t) => {
  const seen: string[] = [];
  const proxy = createServer((request: IncomingMessage, response) => {
    seen.push(`${request.method} ${request.url} ${request.headers['proxy-authorization']}`);
    response.end('by proxy');
  });
  proxy.on('connect', (request, socket) => {
    seen.push(`${request.method} ${request.url}`);
    socket.end('HTTP/1.1 403 Forbidden\r\n\r\n');
  });
  t.after(() => proxy.closeAllConnections());
  const host = await listen(t, proxy);
  const env = { HTTP_PROXY: `http://me:pw@${host}`, HTTPS_PROXY: `http://${host}` };
  const transport = open(t, { env });
  const answer = await transport.request({ method: 'GET', url: 'http://files.example/a?b' });
  assert.equal(await text(answer), 'by proxy');
  await assert.rejects(transport.request({ method: 'GET', url: 'https://files.example/' }), TransportError);
  const basic = `Basic ${Buffer.from('me:pw').toString('base64')}`;
  assert.equal(seen[0], `GET http://files.example/a?b ${basic}`);
  assert.equal(seen[1], 'CONNECT files.example:443');
});
