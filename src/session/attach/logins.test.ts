import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { findLogin, TokenSeeds } from './docker-config.ts';
import { requestToken } from './token-request.ts';

const scratch = mkdtempSync(join(tmpdir(), 'logins-'));
const before_ = process.env.DOCKER_CONFIG;
before(() => {
  process.env.DOCKER_CONFIG = scratch;
});
after(() => {
  if (before_ === undefined) delete process.env.DOCKER_CONFIG;
  else process.env.DOCKER_CONFIG = before_;
  rmSync(scratch, { recursive: true });
});

const configure = (value: unknown): void => writeFileSync(join(scratch, 'config.json'), JSON.stringify(value));
const auth = (text: string): string => Buffer.from(text).toString('base64');

void test('logins come from the file, by host with or without scheme', async () => {
  configure({
    auths: {
      'https://index.docker.io/v1/': { auth: auth('me:pass:word') },
      'https://example.com': { identitytoken: 'refresh', auth: auth('x:y') },
      broken: { auth: auth('nocolon') },
    },
  });
  const hub = await findLogin('registry-1.docker.io');
  assert.deepEqual([hub.username, hub.password], ['me', 'pass:word']);
  assert.equal((await findLogin('example.com')).identityToken, 'refresh');
  assert.equal((await findLogin('other.com')).username, '');
  await assert.rejects(findLogin('broken'), /invalid auth configuration file/);
});

void test('helpers answer for their hosts; their names stay names', async () => {
  configure({ credsStore: 'all', credHelpers: { 'gcr.io': 'gcr', 'evil.io': '../x' } });
  const asked: string[] = [];
  const helper = async (name: string, host: string): Promise<string> => {
    asked.push(`${name} ${host}`);
    if (name === 'gcr') return JSON.stringify({ Username: '<token>', Secret: 't' });
    throw new Error('credentials not found in native keychain');
  };
  assert.equal((await findLogin('gcr.io', helper)).identityToken, 't');
  assert.equal((await findLogin('example.com', helper)).password, '');
  await assert.rejects(findLogin('evil.io', helper), /invalid credential helper name/);
  assert.deepEqual(asked, ['gcr gcr.io', 'all example.com']);
});

void test('seeds stay the same, one for each host', () => {
  const first = Buffer.from(new TokenSeeds(scratch).get('a'));
  assert.equal(first.length, 16);
  assert.deepEqual(Buffer.from(new TokenSeeds(scratch).get('a')), first);
  assert.notDeepEqual(Buffer.from(new TokenSeeds(scratch).get('b')), first);
  const nowhere = new TokenSeeds(join(scratch, 'config.json', 'below-a-file'));
  assert.deepEqual(nowhere.get('a'), nowhere.get('a'));
});

void test('tokens: by POST, by GET where POST is not known, anonymous, refused', async () => {
  const seen: string[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      const basic = request.headers.authorization === undefined ? '' : ' basic';
      seen.push(`${request.method} ${request.url}${basic} ${body}`.trim());
      if (request.url?.startsWith('/old') && request.method === 'POST') response.writeHead(404).end();
      else if (request.url?.startsWith('/no')) response.writeHead(403).end();
      else response.end(JSON.stringify({ token: 'T', expires_in: 9, issued_at: '1970-01-01T00:00:05Z' }));
    });
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  try {
    const root = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const query = { service: 's', scopes: ['a', 'b'], clientId: 'c', username: 'u', secret: 'p' };
    const answer = await requestToken({ ...query, realm: `${root}/new` });
    assert.deepEqual(answer, { token: 'T', expiresInSeconds: 9, issuedAt: 5 });
    await requestToken({ ...query, realm: `${root}/old` });
    await requestToken({ ...query, realm: `${root}/any`, username: '', secret: '' });
    assert.deepEqual(seen, [
      'POST /new client_id=c&service=s&scope=a+b&grant_type=password&username=u&password=p',
      'POST /old client_id=c&service=s&scope=a+b&grant_type=password&username=u&password=p',
      'GET /old?service=s&scope=a&scope=b basic',
      'GET /any?service=s&scope=a&scope=b',
    ]);
    await assert.rejects(requestToken({ ...query, realm: `${root}/no` }), /failed to fetch oauth token: unexpected/);
    await assert.rejects(requestToken({ ...query, realm: 'file:///etc/passwd' }), /unsupported token realm/);
  } finally {
    server.close();
  }
});
