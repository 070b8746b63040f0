import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { BuildError, Code } from '../base/index.ts';
import { verifyDetached } from './index.ts';
import type { DetachedSignature } from './index.ts';

interface Golden {
  readonly data: string;
  readonly keys: Readonly<Record<string, string>>;
  readonly signatures: Readonly<Record<string, string>>;
}

const { data, keys, signatures } = JSON.parse(readFileSync(join(import.meta.dirname, 'golden.json'), 'utf8')) as Golden;

function verify(
  signature: string,
  ring: string,
  more: Partial<DetachedSignature> & { readonly text?: string } = {},
): Promise<void> {
  const bytes = Buffer.from(more.text ?? data);
  return verifyDetached({ signed: [bytes.subarray(0, 5), bytes.subarray(5)], signature, keys: ring, ...more });
}

function rearmored(armored: string, change: (bytes: Buffer) => Buffer | void): string {
  const [, head, body, tail] = /^(-----BEGIN .*-----\n)\n([^=-]+={0,2}\n)(?:=.*\n)?(-----END .*)$/s.exec(armored) ?? [];
  const bytes = Buffer.from(body, 'base64');
  return `${head}\n${(change(bytes) ?? bytes).toString('base64')}\n${tail}`;
}

void test('signatures of GnuPG: RSA by a subkey, Ed25519, NIST curves', async () => {
  for (const name of ['rsa', 'ed', 'nist', 'other']) await verify(signatures[name], keys[name]);
  await verify(signatures.text, keys.ed);
  // The lines of a text may end in either way.
  await verify(signatures.text, keys.ed, { text: data.replaceAll('\n', '\r\n') });
  await verify(signatures.rsa, `${keys.ed}\n${keys.other}${keys.rsa}`);
});

void test('other bytes, other keys', async () => {
  for (const [name, kind] of [
    ['rsa', 'RSA'],
    ['ed', 'EdDSA'],
    ['nist', 'ECDSA'],
  ] as const) {
    await assert.rejects(
      verify(signatures[name], keys[name], { text: `${data} ` }),
      (error: Error) =>
        error instanceof BuildError &&
        error.code === Code.Unknown &&
        new RegExp(`^signature by [0-9A-F]{16}: openpgp: invalid signature: ${kind} verification failure$`).test(
          error.message,
        ),
    );
  }
  await assert.rejects(verify(signatures.rsa, keys.other), /openpgp: signature made by unknown entity/);
});

void test('what is weak, old or revoked', async () => {
  await assert.rejects(verify(signatures.weak, keys.weak), /RSA key too short: 1024 bits/);
  await assert.rejects(verify(signatures.sha1, keys.ed), /rejecting weak\/unknown hash: SHA-1/);
  await assert.rejects(verify(signatures.gone, keys.gone), /revoked/);
  // It had not expired when the signature was made.
  await verify(signatures.old, keys.old);
  await assert.rejects(verify(signatures.old, keys.old, { rejectExpiredKeys: true }), /openpgp: key expired/);
});

void test('a subkey whose owner did not bind it, a key without its own signature', async () => {
  // The last packet of the ring is the binding of the subkey.
  const unbound = rearmored(keys.rsa, (bytes) => void bytes.fill(0, bytes.length - 8));
  await assert.rejects(verify(signatures.rsa, unbound), /signature made by unknown entity/);
  const unsaid = rearmored(keys.ed, (bytes) => void bytes.fill(0, bytes.length - 8));
  await assert.rejects(verify(signatures.ed, unsaid), /signature made by unknown entity/);
});

void test('texts that are no signatures and no keys', async () => {
  await assert.rejects(verify('nothing', keys.ed), /failed to decode armored signature: EOF/);
  await assert.rejects(verify(signatures.ed, 'nothing'), /failed to read armored public key: no armored data found/);
  await assert.rejects(
    verify(signatures.ed, signatures.ed),
    /expected public or private key block, got: PGP SIGNATURE/,
  );
  await assert.rejects(verify(keys.ed, keys.ed), BuildError);
  const cut = rearmored(signatures.ed, (bytes) => bytes.subarray(0, bytes.length - 40));
  await assert.rejects(verify(cut, keys.ed), /openpgp: invalid data/);
  await assert.rejects(verify(signatures.ed.replace('-----END', '-----'), keys.ed), /armor has no end/);
});

void test('every byte of a signature and of a key may be wrong: that is an error, and never a yes', async () => {
  const spoil = async (name: string, where: 'key' | 'signature'): Promise<void> => {
    const text = where === 'key' ? keys[name] : signatures[name];
    const { length } = Buffer.from(text.replace(/-----.*-----/g, ''), 'base64');
    for (let at = 0; at < length; at += 3) {
      const bad = rearmored(text, (bytes) => {
        if (at < bytes.length) bytes[at] ^= 0x10;
      });
      const outcome = await verify(where === 'key' ? signatures[name] : bad, where === 'key' ? bad : keys[name]).then(
        () => 'yes',
        (error: unknown) => (error instanceof BuildError ? 'error' : `${error as Error}`),
      );
      // The area of a signature that is not signed, and its quick check, change nothing.
      if (outcome !== 'error') assert.equal(outcome, 'yes', `${name} ${where} ${at}`);
      else continue;
      assert.ok(isUnsigned(text, at), `${name}: byte ${at} of the ${where} changes nothing`);
    }
  };
  await spoil('ed', 'signature');
  await spoil('ed', 'key');
  await spoil('nist', 'signature');
});

/** Whether the byte is in the part of its signature packet that is not hashed. */
function isUnsigned(armored: string, at: number): boolean {
  let unsigned = false;
  rearmored(armored, (bytes) => {
    for (let start = 0; start < bytes.length;) {
      const isNew = (bytes[start] & 0x40) !== 0;
      const tag = isNew ? bytes[start] & 0x3f : (bytes[start] & 0x3f) >> 2;
      const size = isNew ? 1 : [1, 2, 4][bytes[start] & 3];
      const body = start + 1 + size;
      const end = body + bytes.readUIntBE(start + 1, size);
      if (tag === 2) {
        const hashedEnd = body + 6 + bytes.readUInt16BE(body + 4);
        const otherEnd = hashedEnd + 2 + bytes.readUInt16BE(hashedEnd);
        if (at >= hashedEnd && at < otherEnd + 2) unsigned = true;
      }
      start = end;
    }
  });
  return unsigned;
}
