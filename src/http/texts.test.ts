import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dispositionFileName, formatHttpDate, parseHttpDate, proxyFor } from './index.ts';
import { nextHop } from './redirect.ts';

void test('times of servers', () => {
  const seconds = (text: string): number | undefined => {
    const time = parseHttpDate(text);
    return time === undefined ? undefined : Number(time / 1_000_000_000n);
  };
  const at = Date.UTC(1994, 10, 6, 8, 49, 37) / 1000;
  assert.equal(seconds('Sun, 06 Nov 1994 08:49:37 GMT'), at);
  assert.equal(seconds('Sunday, 06-Nov-94 08:49:37 GMT'), at);
  assert.equal(seconds('Sunday, 06-Nov-94 08:49:37 UTC'), at);
  assert.equal(seconds('Sun Nov  6 08:49:37 1994'), at);
  assert.equal(seconds('Friday, 06-Nov-26 08:49:37 GMT'), Date.UTC(2026, 10, 6, 8, 49, 37) / 1000);
  const wrong = ['', 'now', 'Sun, 31 Feb 1994 08:49:37 GMT', 'Sun, 06 Nov 1994 25:49:37 GMT', '1994-11-06T08:49:37Z'];
  for (const text of [...wrong, 'Sun, 06 Nov 1994 08:49:37 CET']) assert.equal(seconds(text), undefined, text);
  const time = parseHttpDate('Sun, 06 Nov 1994 08:49:37 GMT') as bigint;
  assert.equal(formatHttpDate(time), 'Sun, 06 Nov 1994 08:49:37 GMT');
});

void test('names in Content-Disposition', () => {
  const cases: [string, string | undefined][] = [
    ['attachment; filename="my img.jpg"', 'my img.jpg'],
    ['attachment;filename=a.txt;', 'a.txt'],
    ['inline; FILENAME = "a\\"b"', 'a"b'],
    ['attachment; filename="C:\\dir\\file"', 'C:\\dir\\file'],
    ["attachment; filename=plain; filename*=UTF-8''%e2%82%ac%20rates", '€ rates'],
    ["attachment; filename*=utf-8'en'na%C3%AFve", 'naïve'],
    ["attachment; filename*=iso-8859-1''%A3", undefined],
    ['attachment; filename*0="long "; filename*1=name', 'long name'],
    [Buffer.from('attachment; filename="résumé"').toString('latin1'), 'résumé'],
    ['attachment', undefined],
    ['attachment; filename="open', undefined],
    ['attachment; filename=a; filename=b', undefined],
    ['attachment; filename=a b', undefined],
    ['; filename=a', undefined],
  ];
  for (const [header, name] of cases) assert.equal(dispositionFileName(header), name, header);
});

void test('proxies of the environment', () => {
  const env = {
    HTTP_PROXY: 'plain:3128',
    https_proxy: 'http://user:secret@secure:3129',
    NO_PROXY: 'exact.example, .below.example,10.0.0.0/8,192.168.1.1,port.example:8080,[fd00::1]:443',
  };
  const proxy = (url: string): string | undefined => proxyFor(new URL(url), env)?.host;
  assert.equal(proxy('http://example.org/'), 'plain:3128');
  assert.equal(proxy('https://example.org/'), 'secure:3129');
  assert.equal(proxyFor(new URL('https://example.org/'), { HTTP_PROXY: 'plain:3128' }), undefined);
  for (const url of [
    'http://localhost:5000/',
    'http://127.3.2.1/',
    'http://[::1]/',
    'http://exact.example/',
    'http://sub.exact.example./',
    'http://a.below.example/',
    'http://10.1.2.3/',
    'http://192.168.1.1/',
    'http://port.example:8080/',
    'https://[fd00::1]/',
  ]) {
    assert.equal(proxy(url), undefined, url);
  }
  for (const url of [
    'http://below.example/',
    'http://notexact.example/',
    'http://port.example/',
    'http://11.0.0.1/',
    'http://[fd00::1]/',
  ]) {
    assert.equal(proxy(url), 'plain:3128', url);
  }
  assert.equal(proxyFor(new URL('http://a.example/'), { HTTP_PROXY: 'p', NO_PROXY: '*' }), undefined);
  const bad = { HTTP_PROXY: 'http://me:secret@[nowhere' };
  assert.throws(
    () => proxyFor(new URL('http://a.example/'), bad),
    (error: Error) => /invalid proxy address/.test(error.message) && !error.message.includes('secret'),
  );
});

void test('redirects take along what the next server may see', () => {
  const hop = (url: string, method = 'GET') => ({
    url: new URL(url),
    method,
    headers: { authorization: 'a', accept: 'b' },
    hasBody: method === 'POST',
  });
  const from = hop('https://a.example/x/y');
  const secretAt = (location: string): string | undefined => nextHop(from, 302, location)?.headers.authorization;
  assert.equal(nextHop(from, 302, '../z?q#f')?.url.href, 'https://a.example/z?q#f');
  assert.equal(secretAt('/other'), 'a');
  assert.equal(secretAt('https://cdn.a.example/'), 'a');
  assert.equal(secretAt('https://other.example/'), undefined);
  assert.equal(secretAt('https://nota.example/'), undefined);
  assert.equal(secretAt('http://a.example/'), undefined);
  assert.equal(nextHop(from, 302, 'https://other.example/')?.headers.accept, 'b');
  assert.equal(nextHop(from, 200, '/z'), undefined);
  assert.equal(nextHop(from, 304, '/z'), undefined);
  assert.equal(nextHop(from, 302, undefined), undefined);
  assert.equal(nextHop(hop('http://a.example/', 'HEAD'), 301, '/z')?.method, 'HEAD');
  assert.deepEqual(nextHop(hop('http://a.example/', 'POST'), 302, '/z')?.hasBody, false);
  assert.deepEqual(nextHop(hop('http://a.example/', 'POST'), 308, '/z')?.method, 'POST');
  assert.throws(() => nextHop(from, 302, 'file:///etc/passwd'), /unsupported protocol scheme "file"/);
});
