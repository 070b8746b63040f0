import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ContainerEdits } from '../cdi/index.ts';
import { deviceEnvironment, deviceHooks, deviceNodes } from './device-edits.ts';

const NONE: ContainerEdits = { env: [], deviceNodes: [], mounts: [], hooks: [], additionalGids: [] };
const node = (path: string): ContainerEdits['deviceNodes'][number] => ({ path, hostPath: path, permissions: 'rwm' });

void test("a device node has the host's numbers where its description has none", () => {
  const given = {
    ...node('/dev/x'),
    type: 'b' as const,
    major: 7,
    minor: 300,
    fileMode: 0o660,
    gid: 5,
    permissions: 'r',
  };
  const { devices, access } = deviceNodes({
    ...NONE,
    deviceNodes: [{ ...node('/dev/nil'), hostPath: '/dev/null' }, given],
  });
  assert.deepEqual(devices, [
    { path: '/dev/nil', type: 'c', major: 1, minor: 3 },
    { path: '/dev/x', type: 'b', major: 7, minor: 300, fileMode: 0o660, gid: 5 },
  ]);
  assert.deepEqual(access, [
    { allow: true, type: 'c', major: 1, minor: 3, access: 'rwm' },
    { allow: true, type: 'b', major: 7, minor: 300, access: 'r' },
  ]);
  assert.throws(
    () => deviceNodes({ ...NONE, deviceNodes: [node('/dev/missing')] }),
    /failed to stat device \/dev\/missing/,
  );
  assert.throws(() => deviceNodes({ ...NONE, deviceNodes: [node('/')] }), /\/ is not a device node/);
});

void test('hooks stand by their moment, variables replace those of the step', () => {
  assert.equal(deviceHooks(NONE), undefined);
  const hook = { path: '/bin/x', args: ['x', '-v'], env: [] };
  const hooks = [
    { name: 'createContainer', ...hook },
    { name: 'createContainer', ...hook, timeout: 3 },
  ];
  const plain = { path: '/bin/x', args: ['x', '-v'] };
  assert.deepEqual(deviceHooks({ ...NONE, hooks }), { createContainer: [plain, { ...plain, timeout: 3 }] });
  assert.deepEqual(deviceEnvironment(['A=1', 'B=2'], { ...NONE, env: ['A=3=4'] }), ['B=2', 'A=3=4']);
});
