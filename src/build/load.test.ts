import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { BuildError, Code } from '../base/index.ts';
import { SourceSet } from '../ops/index.ts';
import { Definition, NetMode, Op } from '../proto/ops.pb.ts';
import { loadDefinition } from './load.ts';

const options = { sources: new SourceSet([]), entitlements: new Set<never>() };
const digestOf = (bytes: Uint8Array): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

/** `ops` in a row, each made of the digest of the one before, and the terminal op. */
function chain(length: number, next: (before: string | undefined, i: number) => Op): Definition {
  const def: Uint8Array[] = [];
  let before: string | undefined;
  for (let i = 0; i < length; i++) {
    const bytes = Op.encode(next(before, i)).finish();
    def.push(bytes);
    before = digestOf(bytes);
  }
  const inputs = before === undefined ? [] : [{ digest: before, index: 0n }];
  def.push(Op.encode(Op.fromPartial({ inputs })).finish());
  return Definition.fromPartial({ def });
}

function makeFile(before: string | undefined, i: number): Op {
  const action = { $case: 'mkfile', value: { path: `/${i}`, mode: 0o644, timestamp: -1n } } as const;
  const actions = [{ input: before === undefined ? -1n : 0n, secondaryInput: -1n, output: 0n, action }];
  const inputs = before === undefined ? [] : [{ digest: before, index: 0n }];
  return Op.fromPartial({ inputs, op: { $case: 'file', value: { actions } } });
}

void test('others have their turns while a long chain is loaded', async () => {
  let turns = 0;
  let loaded = false;
  const count = (): void => {
    turns++;
    if (!loaded) setImmediate(count);
  };
  setImmediate(count);
  const { edge } = await loadDefinition(chain(10_000, makeFile), options);
  loaded = true;
  assert.ok(turns > 5, String(turns));
  assert.equal(edge.vertex.inputs.length, 1);
});

void test('merges of merges cost no more than their inputs', async () => {
  // Paths through it: 2 to the power of 2000.
  const definition = chain(2000, (before, i) => {
    if (before === undefined) return makeFile(before, i);
    const input = { digest: before, index: 0n };
    const inputs = [{ input: 0n }, { input: 1n }];
    return Op.fromPartial({ inputs: [input, input], op: { $case: 'merge', value: { inputs } } });
  });
  assert.equal((await loadDefinition(definition, options)).edge.vertex.inputs.length, 2);
});

void test('what is no graph is refused', async () => {
  const refused = async (definition: Definition, text: RegExp, code: Code = Code.InvalidArgument): Promise<void> => {
    await assert.rejects(loadDefinition(definition, options), (error: BuildError) => {
      assert.match(error.message, text);
      assert.equal(error.code, code);
      return true;
    });
  };
  await refused(Definition.fromPartial({}), /invalid empty definition/);
  await refused(Definition.fromPartial({ def: [Buffer.from([0xff])] }), /failed to parse llb proto op/);
  await refused(chain(0, makeFile), /invalid LLB with 1 vertexes/);
  await refused(
    chain(1, () => Op.fromPartial({ inputs: [{ digest: 'sha256:none', index: 0n }], op: makeFile('x', 0).op })),
    /invalid missing input digest sha256:none/,
  );
  await refused(
    chain(2, (before, i) =>
      before === undefined
        ? makeFile(before, i)
        : Op.fromPartial({ inputs: [{ digest: before, index: -1n }], op: makeFile(before, i).op }),
    ),
    /invalid input 0 output index -1/,
  );
  await refused(
    chain(1, () => Op.fromPartial({ op: { $case: 'merge', value: { inputs: [{ input: 3n }] } } })),
    /invalid merge op input index 3/,
  );
  await refused(
    chain(200_001, (_before, i) => Op.fromPartial({ inputs: [{ digest: 'x', index: BigInt(i) }] })),
    /more than 200000 ops/,
    Code.ResourceExhausted,
  );
});

void test('a step behind a proxy is another one, with no network it is the same', async () => {
  const step = (network: NetMode): Definition =>
    chain(1, () =>
      Op.fromPartial({
        op: { $case: 'exec', value: { meta: { args: ['x'], cwd: '/' }, mounts: [{ input: -1n, dest: '/' }], network } },
      }),
    );
  const entitlements = new Set(['network.host'] as const);
  const digest = async (network: NetMode, proxyNetwork: boolean): Promise<string> => {
    const { edge } = await loadDefinition(step(network), { ...options, entitlements, proxyNetwork });
    return edge.vertex.digest;
  };
  const bytes = step(NetMode.UNSET).def[0] as Uint8Array;
  assert.equal(await digest(NetMode.UNSET, false), digestOf(bytes));
  assert.equal(
    await digest(NetMode.UNSET, true),
    digestOf(Buffer.concat([bytes, Buffer.from('\0buildkit.proxy-network.v0')])),
  );
  assert.notEqual(await digest(NetMode.HOST, true), await digest(NetMode.HOST, false));
  assert.equal(await digest(NetMode.NONE, true), await digest(NetMode.NONE, false));
  await assert.rejects(digest(7 as NetMode, true), { code: Code.InvalidArgument });
});
