/** Hostile calls on every method: the daemon stays up, answers with typed errors, and keeps nothing of them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cannotRun } from '../system/scratch.ts';
import { fuzz } from './run.ts';

/** Without a cause that a client can act on. */
const UNTYPED = ['Unknown', 'Internal'];
const ANSWERS_ONLY = ['OK', 'broken off'];

void test('hostile calls are refused', { skip: cannotRun, timeout: 200_000 }, async () => {
  const { tally, untyped } = await fuzz({ seed: 1, attacks: 300, clients: 4 });
  let refused = 0;
  let vague = 0;
  for (const [code, count] of tally) {
    if (!ANSWERS_ONLY.includes(code)) refused += count;
    if (UNTYPED.includes(code)) vague += count;
  }
  assert.ok(refused > 100, JSON.stringify([...tally]));
  assert.ok(
    vague <= refused * 0.05,
    `${vague} of ${refused} refusals have no code of their own:\n${untyped.join('\n')}`,
  );
});
