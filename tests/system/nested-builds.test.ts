/** Builds inside of builds: a definition that a step made is built in the step's place. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { BuildError } from '../../src/base/index.ts';
import { connect } from '../../src/client/index.ts';
import type { Client } from '../../src/client/index.ts';
import { mkfile, ociLayout, scratch } from '../../src/llb/index.ts';
import { BuildOp, Definition, Op } from '../../src/proto/ops.pb.ts';
import { Daemon } from './daemon.ts';
import { cannotRun, makeScratch } from './scratch.ts';
import type { Scratch } from './scratch.ts';

/** A build of what the file `buildkit.llb.definition` of a first step says. */
function nesting(inner: Definition): Definition {
  const bytes = Buffer.from(Definition.encode(inner).finish());
  const { def, metadata } = scratch()
    .file(mkfile('/buildkit.llb.definition', 0o600, bytes))
    .marshal();
  // The last op only names the result.
  const made = Op.decode(def.at(-1) as Uint8Array).inputs;
  const inputs = new Map([['buildkit.llb.definition', { input: 0n }]]);
  const build = Op.encode(
    Op.fromPartial({ inputs: made, op: { $case: 'build', value: BuildOp.fromPartial({ builder: -1n, inputs }) } }),
  ).finish();
  const digest = `sha256:${createHash('sha256').update(build).digest('hex')}`;
  const end = Op.encode(Op.fromPartial({ inputs: [{ digest, index: 0n }] })).finish();
  return Definition.fromPartial({ def: [...def.slice(0, -1), build, end], metadata });
}

void describe('nested builds', { skip: cannotRun, timeout: 150_000 }, () => {
  let scratchFolder: Scratch;
  let daemon: Daemon;
  let clients: Client[];

  before(async () => {
    scratchFolder = await makeScratch();
    daemon = await Daemon.start(scratchFolder.folder);
    clients = [await connect(daemon.address), await connect(daemon.address)];
  });
  after(async () => {
    for (const client of clients ?? []) await client.close();
    await daemon?.end();
    await scratchFolder?.remove();
  });

  const into = (name: string): string => {
    const folder = join(scratchFolder.folder, name);
    mkdirSync(folder);
    return folder;
  };

  void test('the result is that of the inner build', async () => {
    const inner = nesting(
      scratch()
        .file(mkfile('/deep', 0o644, Buffer.from('inside')))
        .marshal(),
    );
    const dest = into('deep');
    await clients[0].solve({
      definition: nesting(inner),
      exports: [{ type: 'local', attrs: new Map(), outputDir: dest }],
    });
    assert.equal(readFileSync(join(dest, 'deep'), 'utf8'), 'inside');
  });

  void test('a client that leaves does not take the inner build from another', async () => {
    const [, layout] = /busybox=(.*)/.exec(scratchFolder.busybox[1]) as RegExpExecArray;
    const [, image] = /oci-layout:\/\/busybox@(.*)/.exec(scratchFolder.busybox[3]) as RegExpExecArray;
    const step = ociLayout(`busybox@${image}`, { storeId: 'busybox' }).run({
      shell: 'cat /proc/sys/kernel/random/uuid > /id; echo begun; sleep 3',
    });
    const definition = nesting(step.root.marshal());
    const stop = new AbortController();
    const begun = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const said = [0, 0];
    const build = (i: number, signal?: AbortSignal): Promise<unknown> =>
      clients[i].solve({
        definition,
        ociStores: new Map([['busybox', layout]]),
        ...(signal === undefined ? {} : { signal }),
        onStatus: ({ logs }) => {
          for (const { msg } of logs) {
            if (!Buffer.from(msg).includes('begun')) continue;
            said[i]++;
            begun[i].resolve();
          }
        },
      });
    const first = build(0, stop.signal);
    await begun[0].promise;
    const second = build(1);
    await begun[1].promise;
    stop.abort();
    await assert.rejects(first, (error: BuildError) => error.isCanceled);
    await second;
    // Once and no more: a step that had begun anew would have told so again.
    assert.equal(said[1], 1);
  });

  void test('it stops and leaves nothing behind', async () => {
    for (const client of clients.splice(0)) await client.close();
    await daemon.stopWithoutLeaks();
  });
});
