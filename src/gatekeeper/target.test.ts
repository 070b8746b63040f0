import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NoTarget, targetInTunnel, targetOf, targetOfRequest, tunnelTarget } from './target.ts';

void test('what is judged is where it goes, however it is spelt', () => {
  const spelt: ReadonlyArray<readonly [requested: string, url: string]> = [
    ['http://host.test/a', 'http://host.test/a'],
    ['HTTP://HOST.Test.:80/a#part', 'http://host.test/a'],
    ['http://host.test:8080', 'http://host.test:8080/'],
    ['http://host.test/x/%2e%2E/./a?q', 'http://host.test/a?q'],
    ['http://host.test\\@other.test/', 'http://host.test/@other.test/'],
    ['http://host.test?b=%41', 'http://host.test/?b=%41'],
    ['http://host.test/%41?b=%2e%2E&c={d}', 'http://host.test/%41?b=%2e%2E&c={d}'],
    ['http://0x7f.1/', 'http://127.0.0.1/'],
    ['http://[0:0::1]:81/', 'http://[::1]:81/'],
    ['http://me:secret@host.test/', 'http://xxxxx:xxxxx@host.test/'],
    ['https://host.test/a', 'https://host.test/a'],
    ['/a?b', 'http://by-header.test:81/a?b'],
  ];
  for (const [requested, url] of spelt)
    assert.equal(targetOfRequest(requested, 'by-header.test:81').url, url, requested);
  const { credentials, authority } = targetOf('http://m%65:s%3Aecret@host.test:81/');
  assert.deepEqual([credentials, authority], ['me:s:ecret', 'host.test:81']);
});

void test('in a tunnel everything goes where it leads', () => {
  const tunnel = tunnelTarget('Host.test:443');
  const target = targetInTunnel(tunnel, 'https://other.test/a/../b?c');
  const { url, shown, authority, port, secure } = target;
  assert.deepEqual(
    { url, shown, authority, port, secure },
    {
      url: 'https://host.test:443/b?c',
      shown: 'https://host.test/b?c',
      authority: 'host.test',
      port: 443,
      secure: true,
    },
  );
  assert.equal(targetInTunnel(tunnelTarget('[::1]:8443'), '/').url, 'https://[::1]:8443/');
  assert.equal(targetInTunnel(tunnel, '//other.test/a').host, 'host.test');
  assert.equal(targetInTunnel(tunnel, '/@other.test/a').host, 'host.test');
});

void test('what leads nowhere', () => {
  const none = [
    '*',
    '',
    'ftp://host/',
    'http://',
    'http://a b/',
    'http://a,b/',
    'http://host:99999/',
    'file:///etc/passwd',
  ];
  for (const requested of none) assert.throws(() => targetOfRequest(requested, 'host'), NoTarget, requested);
  for (const authority of ['host', 'host:0', 'host:65536', 'a@b:443', 'a/b:443', ':443', '', 'a b:1']) {
    assert.throws(() => tunnelTarget(authority), NoTarget, authority);
  }
  assert.throws(() => targetInTunnel(tunnelTarget('host:443'), '*'), NoTarget);
});
