import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import { issueFor, makeAuthority } from './certificate.ts';
import { integer, oid, time } from './der.ts';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

void test('values as the standard has them', () => {
  assert.equal(hex(integer(Buffer.of(0))), '020100');
  assert.equal(hex(integer(Buffer.of(0, 0, 0x80))), '02020080');
  assert.equal(hex(oid('1.2.840.113549.1.1.11')), '06092a864886f70d01010b');
  assert.equal(time(new Date('2049-12-31T23:59:59.9Z')).subarray(2).toString(), '491231235959Z');
  assert.equal(time(new Date('2050-01-01T00:00:00Z')).subarray(2).toString(), '20500101000000Z');
});

void test('an authority and the servers it stands in for', async () => {
  const now = Date.now();
  const authority = await makeAuthority(now);
  const root = new X509Certificate(authority.cert);
  assert.equal(root.ca, true);
  assert.equal(root.subject, 'CN=BuildKit exec proxy');
  const long = `${'a'.repeat(60)}.${'b'.repeat(60)}.test`;
  for (const host of ['host.test', long, '192.0.2.7', '2001:db8::1:ff', '::1', '::ffff:192.0.2.7']) {
    const cert = new X509Certificate(issueFor(host, authority, now));
    assert.ok(cert.checkIssued(root), host);
    assert.ok(cert.verify(root.publicKey), host);
    assert.equal(cert.ca, false);
    assert.notEqual(
      host.includes(':') || /^[\d.]+$/.test(host) ? cert.checkIP(host) : cert.checkHost(host),
      undefined,
      host,
    );
    assert.deepEqual(cert.keyUsage, ['1.3.6.1.5.5.7.3.1']);
    assert.ok(cert.validFromDate.getTime() < now && cert.validToDate.getTime() > now);
  }
});
