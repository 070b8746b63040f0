import assert from 'node:assert/strict';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { trustAuthority } from './trust-bundles.ts';

const pem = (body: string): string => `-----BEGIN CERTIFICATE-----\n${body}\n-----END CERTIFICATE-----\n`;
const AUTHORITY = pem('b3VyIG93bg==');
const OTHER = pem('c29tZWJvZHk=');
const DEBIAN = 'etc/ssl/certs/ca-certificates.crt';
const FEDORA = 'etc/pki/tls/certs/ca-bundle.crt';

function rootWith(t: TestContext, files: Readonly<Record<string, string>>): string {
  const root = mkdtempSync(join(tmpdir(), 'trust-'));
  t.after(() => rmSync(root, { recursive: true }));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text, { mode: 0o640 });
  }
  return root;
}

void test('the bundle is afterwards what it was, to its time', async (t) => {
  const root = rootWith(t, { [DEBIAN]: OTHER, [FEDORA]: OTHER });
  const path = join(root, DEBIAN);
  utimesSync(path, 1, 1_234_567.891);
  const before = statSync(path, { bigint: true });
  const restore = await trustAuthority(root, AUTHORITY);
  assert.equal(
    readFileSync(path, 'utf8'),
    `${OTHER}\n# buildkit proxy CA begin\n${AUTHORITY}# buildkit proxy CA end\n`,
  );
  // The first counts.
  assert.equal(readFileSync(join(root, FEDORA), 'utf8'), OTHER);
  await restore();
  assert.equal(readFileSync(path, 'utf8'), OTHER);
  const after = statSync(path, { bigint: true });
  for (const what of ['mtimeNs', 'ino', 'mode', 'size'] as const) assert.equal(after[what], before[what], what);
});

void test('what a step does to the bundle stays', async (t) => {
  const root = rootWith(t, { [DEBIAN]: 'no end of line' });
  const path = join(root, DEBIAN);
  const restore = await trustAuthority(root, AUTHORITY);
  appendFileSync(path, OTHER);
  await restore();
  assert.equal(readFileSync(path, 'utf8'), `no end of line\n${OTHER}`);
});

void test('nothing is brought back that a step has replaced or removed', async (t) => {
  const root = rootWith(t, { [DEBIAN]: OTHER });
  const path = join(root, DEBIAN);
  const replaced = await trustAuthority(root, AUTHORITY);
  writeFileSync(`${path}.new`, 'new');
  renameSync(`${path}.new`, path);
  await replaced();
  assert.equal(readFileSync(path, 'utf8'), 'new');
  const removed = await trustAuthority(root, AUTHORITY);
  rmSync(path);
  await removed();
  assert.equal(existsSync(path), false);
});

void test('a bundle that was moved or made of another keeps no certificate', async (t) => {
  const root = rootWith(t, { [DEBIAN]: OTHER });
  const path = join(root, DEBIAN);
  const restore = await trustAuthority(root, AUTHORITY);
  renameSync(path, join(root, 'moved'));
  // Written anew, with other lines.
  const [, body = ''] = AUTHORITY.split('\n');
  const lines = [body.slice(0, 5), body.slice(5)].join('\r\n');
  writeFileSync(path, `# all\n${OTHER}-----BEGIN CERTIFICATE-----\n${pem(lines)}# end\n`);
  await restore();
  assert.equal(readFileSync(join(root, 'moved'), 'utf8'), OTHER);
  assert.equal(readFileSync(path, 'utf8'), `# all\n${OTHER}-----BEGIN CERTIFICATE-----\n# end\n`);
});

void test('links lead nowhere out of the root, and only a file is a bundle', async (t) => {
  const outside = rootWith(t, { file: 'outside' });
  const root = rootWith(t, { [FEDORA]: OTHER });
  mkdirSync(join(root, dirname(DEBIAN)), { recursive: true });
  symlinkSync(join(outside, 'file'), join(root, DEBIAN));
  mkdirSync(join(root, 'etc/ssl/cert.pem'));
  const restore = await trustAuthority(root, AUTHORITY);
  assert.match(readFileSync(join(root, FEDORA), 'utf8'), /buildkit proxy CA begin/);
  // A step turns the folder of the bundle into a link.
  renameSync(join(root, 'etc/pki'), join(root, 'etc/was'));
  symlinkSync(outside, join(root, 'etc/pki'));
  mkdirSync(join(outside, 'tls/certs'), { recursive: true });
  writeFileSync(join(outside, 'tls/certs/ca-bundle.crt'), AUTHORITY);
  await restore();
  assert.equal(readFileSync(join(outside, 'file'), 'utf8'), 'outside');
  assert.equal(readFileSync(join(outside, 'tls/certs/ca-bundle.crt'), 'utf8'), AUTHORITY);
  assert.equal(readFileSync(join(root, 'etc/was/tls/certs/ca-bundle.crt'), 'utf8'), OTHER);
});

void test('a rootfs without a bundle stays without', async (t) => {
  const root = rootWith(t, { 'etc/passwd': '' });
  await (
    await trustAuthority(root, AUTHORITY)
  )();
  assert.equal(existsSync(join(root, 'etc/ssl')), false);
});
