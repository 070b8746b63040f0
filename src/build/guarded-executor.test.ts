import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Code } from '../base/index.ts';
import type { Executor } from '../executor/types.ts';
import { SourceSet } from '../ops/index.ts';
import { Definition, NetMode, Op, SecurityMode } from '../proto/ops.pb.ts';
import type { Entitlement } from './entitlements.ts';
import { guardExecutor } from './guarded-executor.ts';
import { loadDefinition } from './load.ts';

/** What a process may want that has to be granted. */
const WANTED = [
  { network: 'host', security: 'sandbox', entitlement: 'network.host' },
  { network: 'none', security: 'insecure', entitlement: 'security.insecure' },
] as const;
const refused = (entitlement: string) => ({
  code: Code.PermissionDenied,
  message: new RegExp(`${entitlement} is not allowed$`),
});

void test('processes of containers and of frontends start only as their build may', async () => {
  const started: string[] = [];
  const executor = {
    run: async () => void started.push('run'),
    exec: async () => void started.push('exec'),
  } as unknown as Executor;
  for (const { network, security, entitlement } of WANTED) {
    const attempt = async (granted: ReadonlySet<Entitlement>): Promise<void> => {
      const guarded = guardExecutor(executor, granted) as unknown as Record<
        'run' | 'exec',
        (...all: any[]) => Promise<void>
      >;
      const meta = { network, security };
      await guarded.run('id', {}, [], meta, {}, {});
      await guarded.exec('id', meta, {}, {});
    };
    await assert.rejects(attempt(new Set()), refused(entitlement));
    assert.deepEqual(started.splice(0), []);
    await attempt(new Set([entitlement]));
    assert.deepEqual(started.splice(0), ['run', 'exec']);
  }
});

void test('steps are loaded only as their build may run them', async () => {
  const mounts = [{ dest: '/', input: -1n, output: 0n }];
  for (const { network, security, entitlement } of WANTED) {
    const value = {
      meta: { args: ['true'], cwd: '/' },
      mounts,
      network: network === 'host' ? NetMode.HOST : NetMode.NONE,
      security: security === 'insecure' ? SecurityMode.INSECURE : SecurityMode.SANDBOX,
    };
    const step = Op.encode(Op.fromPartial({ op: { $case: 'exec', value } })).finish();
    const digest = `sha256:${createHash('sha256').update(step).digest('hex')}`;
    const end = Op.encode(Op.fromPartial({ inputs: [{ digest, index: 0n }] })).finish();
    const load = (granted: Set<Entitlement>): Promise<unknown> =>
      loadDefinition(Definition.fromPartial({ def: [step, end] }), {
        sources: new SourceSet([]),
        entitlements: granted,
      });
    await assert.rejects(load(new Set()), refused(entitlement));
    await load(new Set([entitlement]));
  }
});

void test('nobody gets at an executor beside the guard, but the ops of loaded steps', () => {
  const src = join(import.meta.dirname, '..');
  const sources = globSync('{build,control,frontends,session,daemon}/**/*.ts', { cwd: src }).filter(
    (path) => !path.endsWith('.test.ts'),
  );
  const naming = (pattern: RegExp): string[] =>
    sources.filter((path) => pattern.test(readFileSync(join(src, path), 'utf8'))).toSorted();
  assert.deepEqual(naming(/\benv(ironment)?\.executor\b/), ['build/bridge.ts']);
  assert.deepEqual(naming(/\bauthorizeProcess\(/), [
    'build/entitlements.ts',
    'build/guarded-executor.ts',
    'build/load.ts',
  ]);
});
