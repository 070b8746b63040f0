import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Solve } from '../proto/errdefs.pb.ts';
import { ExecOp } from '../proto/ops.pb.ts';
import { protoJson } from './proto-json.ts';

void test('enums by name, a number without one as it is', () => {
  const exec = ExecOp.fromPartial({
    network: 2,
    security: 0,
    mounts: [{ dest: '/', mountType: 3, contentCache: 99 as never }],
  });
  assert.deepEqual(protoJson(exec), {
    network: 'NONE',
    mounts: [{ dest: '/', mountType: 'CACHE', contentCache: 99 }],
  });
});

void test('fields by name, numbers as texts, bytes in base64, the chosen of a oneof, no defaults', () => {
  const message = Solve.fromPartial({
    inputIDs: ['a', ''],
    op: {
      op: {
        $case: 'file',
        value: {
          actions: [
            { input: -1n, output: 0n, action: { $case: 'mkfile', value: { path: '/p', data: Buffer.from('hi') } } },
          ],
        },
      },
      platform: { OS: 'linux', OSFeatures: [] },
    },
    subject: { $case: 'file', value: { index: 0n } },
    description: new Map([['k', 'v']]),
  });
  assert.deepEqual(protoJson(message), {
    inputIDs: ['a', ''],
    op: {
      file: { actions: [{ input: '-1', mkfile: { path: '/p', data: 'aGk=' } }] },
      platform: { OS: 'linux' },
    },
    file: {},
    description: { k: 'v' },
  });
});
