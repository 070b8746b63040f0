import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { PolicyAction } from '../../proto/policy.pb.ts';
import { readPolicy } from './policy-file.ts';

void test('a policy file names what upstream knows, and nothing else', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'policy-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'policy.json');
  const read = (policy: unknown): ReturnType<typeof readPolicy> => {
    writeFileSync(path, typeof policy === 'string' ? policy : JSON.stringify(policy));
    return readPolicy(path);
  };
  const rules = (rule: unknown): unknown => ({ rules: [rule] });
  assert.equal(read(rules({ action: 'DENY', selector: { identifier: '*' } }))?.rules[0].action, PolicyAction.DENY);
  assert.equal(read(rules({ action: 1 }))?.rules[0].action, PolicyAction.DENY);
  assert.equal(readPolicy(''), undefined);
  const where = `failed to unmarshal source-policy-file ${JSON.stringify(path)}: `;
  for (const [rule, message] of [
    [{ action: 'ZZ' }, 'unrecognized enum ALLOW value "ZZ"'],
    [{ action: -1 }, 'unrecognized enum ALLOW value -1'],
    [{ selector: { matchType: 'ZZ' } }, 'unrecognized enum WILDCARD value "ZZ"'],
    [{ selector: { constraints: [{ condition: 9 }] } }, 'unrecognized enum EQUAL value 9'],
  ] as const)
    assert.throws(() => read(rules(rule)), { message: where + message });
  assert.throws(() => read('nojson'), { message: /^failed to unmarshal source-policy-file/ });
});
