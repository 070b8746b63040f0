/** Keys as ssh-keygen and openssl write them; verified by node:crypto, and by OpenSSH where it is installed. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createPublicKey, generateKeyPairSync, verify } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { duplexPair } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import test from 'node:test';
import { keyAnswers } from './key-agent.ts';
import { parsePrivateKey } from './ssh-key.ts';
import type { SigningKey } from './ssh-key.ts';
import { SshReader, sshString, sshUint32 } from './ssh-wire.ts';

const DATA = Buffer.from('to be signed');

/** The raw signature that node:crypto takes. */
function signatureOf(encoded: Buffer): { name: string; bytes: Buffer } {
  const reader = new SshReader(encoded);
  const name = reader.text();
  const bytes = reader.string();
  if (!name.startsWith('ecdsa')) return { name, bytes };
  const size = name.endsWith('521') ? 66 : name.endsWith('384') ? 48 : 32;
  const pair = new SshReader(bytes);
  const half = (): Buffer => {
    const number = pair.mpint();
    return Buffer.concat([Buffer.alloc(size - number.length), number]);
  };
  return { name, bytes: Buffer.concat([half(), half()]) };
}

function assertSigns(
  key: SigningKey,
  publicKey: KeyObject,
  hash: string | null,
  flags: number,
  expected: string,
): void {
  const { name, bytes } = signatureOf(key.sign(DATA, flags));
  assert.equal(name, expected);
  const format = { key: publicKey, dsaEncoding: 'ieee-p1363' } as const;
  assert.equal(verify(hash, DATA, format, bytes), true, expected);
}

void test('keys of OpenSSL sign as their kinds do', () => {
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
  for (const type of ['pkcs1', 'pkcs8'] as const) {
    const key = parsePrivateKey(Buffer.from(rsa.privateKey.export({ type, format: 'pem' })));
    assertSigns(key, rsa.publicKey, 'sha1', 0, 'ssh-rsa');
    assertSigns(key, rsa.publicKey, 'sha256', 2, 'rsa-sha2-256');
    assertSigns(key, rsa.publicKey, 'sha512', 4, 'rsa-sha2-512');
  }
  for (const [namedCurve, name, hash] of [
    ['P-256', 'nistp256', 'sha256'],
    ['P-384', 'nistp384', 'sha384'],
    ['P-521', 'nistp521', 'sha512'],
  ] as const) {
    const pair = generateKeyPairSync('ec', { namedCurve });
    const key = parsePrivateKey(Buffer.from(pair.privateKey.export({ type: 'sec1', format: 'pem' })));
    for (let round = 0; round < 8; round++) assertSigns(key, pair.publicKey, hash, 0, `ecdsa-sha2-${name}`);
  }
  const ed = generateKeyPairSync('ed25519');
  const key = parsePrivateKey(Buffer.from(ed.privateKey.export({ type: 'pkcs8', format: 'pem' })));
  assertSigns(key, ed.publicKey, null, 0, 'ssh-ed25519');
});

const noKeygen = spawnSync('ssh-keygen', ['-?']).error === undefined ? false : 'needs ssh-keygen';

void test('keys of OpenSSH are the keys that ssh-keygen made', { skip: noKeygen }, (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'ssh-key-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const make = (name: string, ...args: string[]): string => {
    const path = join(folder, name);
    const made = spawnSync('ssh-keygen', ['-q', '-f', path, ...args], { encoding: 'utf8' });
    assert.equal(made.status, 0, made.stderr);
    return path;
  };
  for (const [kind, ...more] of [
    ['rsa', '-b', '2048'],
    ['ecdsa', '-b', '256'],
    ['ecdsa', '-b', '384'],
    ['ecdsa', '-b', '521'],
    ['ed25519'],
  ]) {
    const path = make(`${kind}${more.at(-1) ?? ''}`, '-N', '', '-t', kind, ...more);
    const key = parsePrivateKey(readFileSync(path));
    const [, blob] = readFileSync(`${path}.pub`, 'utf8').split(' ');
    assert.equal(key.blob.toString('base64'), blob, path);
    // The private part belongs to it.
    const exported = spawnSync('ssh-keygen', ['-e', '-m', 'PKCS8', '-f', `${path}.pub`], { encoding: 'utf8' });
    if (kind === 'ed25519') continue; // Which has no such form.
    const hash = kind === 'rsa' ? 'sha512' : { 256: 'sha256', 384: 'sha384', 521: 'sha512' }[more.at(-1) as '256'];
    const name = kind === 'rsa' ? 'rsa-sha2-512' : `ecdsa-sha2-nistp${more.at(-1)}`;
    assertSigns(key, createPublicKey(exported.stdout), hash, 4, name);
  }
  for (const format of ['RFC4716', 'PEM']) {
    const locked = make(`locked-${format}`, '-N', 'secret', '-t', 'rsa', '-m', format);
    assert.throws(() => parsePrivateKey(readFileSync(locked)), {
      message: 'ssh: this private key is passphrase protected',
    });
  }
});

void test('what is no key is told as upstream tells it', () => {
  const pem = (kind: string, body: Buffer): Buffer =>
    Buffer.from(`-----BEGIN ${kind}-----\n${body.toString('base64')}\n-----END ${kind}-----\n`);
  assert.throws(() => parsePrivateKey(Buffer.from('hello')), { message: 'ssh: no key found' });
  assert.throws(() => parsePrivateKey(pem('DSA PRIVATE KEY', DATA)), {
    message: 'ssh: unsupported key type "DSA PRIVATE KEY"',
  });
  assert.throws(() => parsePrivateKey(pem('OPENSSH PRIVATE KEY', DATA)), {
    message: 'ssh: invalid openssh private key format',
  });
  // Cut anywhere, and with lengths that lie, it is an error and nothing else.
  const whole = Buffer.concat([
    Buffer.from('openssh-key-v1\0'),
    ...['none', 'none', ''].map((text) => sshString(text)),
    sshUint32(1),
    sshString('blob'),
    sshString(Buffer.concat([sshUint32(7), sshUint32(7), sshString('ssh-ed25519'), sshUint32(0xffffffff)])),
  ]);
  for (let length = 0; length <= whole.length; length++)
    assert.throws(() => parsePrivateKey(pem('OPENSSH PRIVATE KEY', whole.subarray(0, length))), Error);
});

void test('an agent of keys lists and signs, and refuses the rest', async () => {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const key = parsePrivateKey(Buffer.from(privateKey.export({ type: 'pkcs8', format: 'pem' })));
  const [ours, theirs] = duplexPair();
  const serving = pipeline(keyAnswers(ours, [key]), ours);
  const replies: Buffer[] = [];
  theirs.on('data', (chunk: Buffer) => replies.push(chunk));
  const ask = (...parts: Buffer[]): void => void theirs.write(sshString(Buffer.concat(parts)));
  ask(Buffer.of(11));
  ask(Buffer.of(13), sshString(key.blob), sshString(DATA), sshUint32(0));
  ask(Buffer.of(13), sshString('another'), sshString(DATA), sshUint32(0));
  ask(Buffer.of(13), sshUint32(0xffffff));
  ask(Buffer.of(17), sshString('add this key'));
  theirs.end();
  await serving;
  const all = new SshReader(Buffer.concat(replies));
  assert.deepEqual(all.string(), Buffer.concat([Buffer.of(12), sshUint32(1), sshString(key.blob), sshString('')]));
  const signed = all.string();
  assert.equal(signed[0], 14);
  const { name, bytes } = signatureOf(new SshReader(signed.subarray(1)).string());
  assert.equal(name, 'ssh-ed25519');
  assert.equal(verify(null, DATA, publicKey, bytes), true);
  for (let i = 0; i < 3; i++) assert.deepEqual(all.string(), Buffer.of(5));
  assert.throws(() => all.string());
});
