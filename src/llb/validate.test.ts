import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Op } from '../proto/ops.pb.ts';
import { FRONTEND_CAPS, isKnownLlbCap, LLB_CAPS, scratch, State, validateOp, vertexName } from './index.ts';

const input = { digest: `sha256:${'0'.repeat(64)}`, index: 0n };

function execOp(change: (exec: NonNullable<Extract<Op['op'], { $case: 'exec' }>>['value'], op: Op) => void): Op {
  const { def } = scratch()
    .run({ args: ['x'], mounts: [{ target: '/out' }] })
    .root.marshal();
  const op = Op.decode(def[0]);
  if (op.op?.$case !== 'exec') throw new Error('no exec');
  change(op.op.value, op);
  return op;
}

void test('bad messages are refused', () => {
  validateOp(execOp(() => {}));
  const cases: ReadonlyArray<readonly [RegExp, Op]> = [
    [/no meta/, execOp((e) => (e.meta = undefined))],
    [/no args/, execOp((e) => (e.meta = { ...(e.meta as NonNullable<typeof e.meta>), args: [] }))],
    [/no mounts/, execOp((e) => (e.mounts = []))],
    [/no rootfs/, execOp((e) => e.mounts.shift())],
    [/input index 3/, execOp((e) => (e.mounts[0].input = 3n))],
    [/input index -2/, execOp((e) => (e.mounts[0].input = -2n))],
    [/output index 0 of/, execOp((e) => (e.mounts[1].output = 0n))],
    [/missing cache mount options/, execOp((e) => (e.mounts[1].mountType = 3))],
    [/invalid secret mount options/, execOp((e) => (e.mounts[1].mountType = 1))],
    [/not implemented/, execOp((e) => (e.mounts[1].mountType = 9 as never))],
    [/tmpfs size/, execOp((e) => (e.mounts[1].TmpfsOpt = { size: -1n }))],
    [/unused input 0/, execOp((_, op) => op.inputs.push(input))],
    [/no actions/, { ...Op.decode(new Uint8Array(0)), op: { $case: 'file', value: { actions: [] } } }],
    [
      /nil lower or upper/,
      { ...Op.decode(new Uint8Array(0)), op: { $case: 'diff', value: { lower: undefined, upper: undefined } } },
    ],
    [
      /merge op input index 7/,
      { ...Op.decode(new Uint8Array(0)), op: { $case: 'merge', value: { inputs: [{ input: 7n }] } } },
    ],
    [
      /passthrough op with no id/,
      { ...Op.decode(new Uint8Array(0)), op: { $case: 'passthrough', value: { id: '', outputs: [] } } },
    ],
  ];
  for (const [message, op] of cases) assert.throws(() => validateOp(op), message);
});

void test('names and capabilities', () => {
  assert.equal(
    vertexName(
      execOp(() => {}),
      [],
    ),
    'x',
  );
  const diffOp: Op = {
    ...Op.decode(new Uint8Array(0)),
    op: { $case: 'diff', value: { lower: { input: -1n }, upper: { input: 0n } } },
  };
  assert.equal(vertexName(diffOp, ['up']), 'diff scratch -> (up)');
  assert.equal(LLB_CAPS.length, 88);
  assert.equal(FRONTEND_CAPS.length, 27);
  assert.ok(isKnownLlbCap('soruce.http.uidgid'));
  assert.ok(!isKnownLlbCap('file.copy.modestring'));
});

void test('definitions that make no sense', () => {
  assert.ok(State.fromDefinition({ def: [], metadata: new Map(), Source: undefined }).isScratch);
  assert.throws(
    () => State.fromDefinition({ def: [new Uint8Array(0)], metadata: new Map(), Source: undefined }),
    /no inputs on last vertex/,
  );
  assert.throws(() => scratch().run({ args: [] }).root.marshal(), /arguments are required/);
});
