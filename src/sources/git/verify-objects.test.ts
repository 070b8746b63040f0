import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { verifySignature } from './verify-objects.ts';

void test('a commit signed with an OpenPGP key', async () => {
  const golden = JSON.parse(readFileSync(join(import.meta.dirname, '../../openpgp/golden.json'), 'utf8')) as {
    readonly commit: string;
    readonly keys: Readonly<Record<string, string>>;
    readonly signatures: Readonly<Record<string, string>>;
  };
  const [head, ...message] = golden.commit.split('\n\n');
  const armor = golden.signatures.commit.trimEnd().replaceAll('\n', '\n ');
  const verify = (text: string, pubKey: string): Promise<void> => {
    const commit = Buffer.from(`${head}\ngpgsig ${armor}\n\n${text}`);
    const commitChecksum = createHash('sha1').update(`commit ${commit.length}\0`).update(commit).digest('hex');
    const policy = { pubKey, rejectExpired: false, requireSignedTag: false, ignoreSignedTag: false };
    return verifySignature({ commit, commitChecksum, tag: undefined }, policy);
  };
  const text = message.join('\n\n');
  await verify(text, `${golden.keys.other}${golden.keys.ed}`);
  await assert.rejects(verify(text, golden.keys.other), /openpgp: signature made by unknown entity/);
  await assert.rejects(verify(`${text}.`, golden.keys.ed), /EdDSA verification failure/);
});
