import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { after, before, test } from 'node:test';
import { runCredentialHelper } from './credential-helper.ts';

const scratch = mkdtempSync(join(tmpdir(), 'helper-'));
const pathBefore = process.env.PATH ?? '';
before(() => {
  process.env.PATH = `${scratch}${delimiter}${pathBefore}`;
});
after(() => {
  process.env.PATH = pathBefore;
  rmSync(scratch, { recursive: true });
});

const program = (name: string, script: string): void =>
  writeFileSync(join(scratch, `docker-credential-${name}`), `#!/bin/sh\n${script}\n`, { mode: 0o755 });

void test('a helper is asked for one registry and answers', async () => {
  program('good', 'read -r host; printf \'{"Username":"%s","Secret":"%s"}\' "$1" "$host"');
  assert.deepEqual(JSON.parse(await runCredentialHelper('good', 'example.com')), {
    Username: 'get',
    Secret: 'example.com',
  });
});

void test('a helper that fails, is missing or talks without end', async () => {
  program('empty', 'echo "credentials not found in native keychain"; exit 1');
  await assert.rejects(runCredentialHelper('empty', 'x'), {
    message: 'exit status 1, out: `credentials not found in native keychain`',
  });
  await assert.rejects(runCredentialHelper('missing', 'x'), /"docker-credential-missing": executable file not found/);
  program('loud', 'exec yes 2>/dev/null');
  await assert.rejects(runCredentialHelper('loud', 'x'), /too long/);
});
