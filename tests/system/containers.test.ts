/** Containers that a client starts on results of its build, and on what a failed step left. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { BuildError, Code } from '../../src/base/index.ts';
import { connect } from '../../src/client/index.ts';
import type { Client, GatewayRefHandle, SolveRequest } from '../../src/client/index.ts';
import type { GatewayClient } from '../../src/frontends/types.ts';
import { ociLayout, scratch } from '../../src/llb/index.ts';
import type { State } from '../../src/llb/index.ts';
import { LLBBridgeDefinition } from '../../src/proto/gateway.pb.ts';
import { provideSecrets } from '../../src/session/index.ts';
import { Daemon } from './daemon.ts';
import { Gateway } from './gateway-processes.ts';
import { until } from './process.ts';
import { cannotRun, makeScratch, mountsBelow } from './scratch.ts';
import type { Scratch } from './scratch.ts';

const { methods } = LLBBridgeDefinition;

void describe('containers of the gateway', { skip: cannotRun, timeout: 200_000 }, () => {
  let scratchFolder: Scratch;
  let daemon: Daemon;
  let client: Client;
  let layout: string;
  let digest: string;
  let count = 0;

  before(async () => {
    scratchFolder = await makeScratch();
    layout = join(scratchFolder.folder, 'busybox');
    digest = /@(sha256:[0-9a-f]{64})$/.exec(scratchFolder.busybox.join(' '))?.[1] ?? '';
    daemon = await Daemon.start(scratchFolder.folder);
    client = await connect(daemon.address);
  });
  after(async () => {
    await client?.channel.close();
    await daemon?.end();
    await scratchFolder?.remove();
  });

  const busybox = (): State => ociLayout(`busybox@${digest}`, { storeId: 'busybox' });

  interface Build {
    readonly gateway: GatewayClient;
    readonly calls: Gateway;
    /** The id of a lazy result. */
    solve(state: State): Promise<string>;
  }

  /** A build whose frontend is `work`. */
  async function build(work: (build: Build) => Promise<void>, more: Partial<SolveRequest> = {}): Promise<void> {
    const ref = `containers${count++}`;
    const calls = new Gateway(client.channel, ref);
    try {
      await client.build(
        async (gateway) => {
          const solve = async (state: State): Promise<string> => {
            const result = await gateway.solve({ definition: state.marshal() });
            return (result.ref as GatewayRefHandle).id;
          };
          await work({ gateway, calls, solve });
          return { metadata: new Map() };
        },
        { ref, ociStores: new Map([['busybox', layout]]), ...more },
      );
    } finally {
      calls.close();
    }
  }

  const bind = (dest: string, resultID: string) => ({ dest, resultID });

  void test('several processes: output, exit codes, pipes, signals, and the order of it all', () =>
    build(async ({ calls, solve }) => {
      const root = await solve(busybox());
      await calls.newContainer({ ContainerID: 'one', Mounts: [bind('/', root)], hostname: 'here' });
      const holder = await calls.start('holder', 'one', ['sleep', '1000']);
      const echo = await calls.start('echo', 'one', ['sh', '-c', 'echo out; echo err >&2; hostname; pwd; exit 3'], {
        Meta: { cwd: '/tmp' },
      });
      const exit = await echo.exit.promise;
      await echo.done.promise;
      assert.equal(exit.Code, 3);
      assert.match(exit.Error?.message ?? '', /^exit code: 3$/);
      assert.deepEqual(echo.output, { 1: 'out\nhere\n/tmp\n', 2: 'err\n' });
      assert.equal(echo.events[0], 'Started');
      assert.deepEqual(echo.events.slice(-4), ['EOF 1', 'EOF 2', 'Exit', 'Done']);

      const cat = await calls.start('cat', 'one', ['sh', '-c', 'cat > /written; echo done'], { Fds: [0, 1] });
      await cat.write('some ');
      await cat.write('text', true);
      assert.equal((await cat.exit.promise).Code, 0);
      assert.equal(cat.output[1], 'done\n');
      await cat.write('too late');
      const Ref = 'one';
      const read = { Ref, FilePath: '/written', Range: undefined, MountIndex: 0 };
      assert.equal(Buffer.from((await calls.call(methods.readFileContainer, read)).Data).toString(), 'some text');
      const { stat } = await calls.call(methods.statFileContainer, { Ref, Path: '/written', MountIndex: 0 });
      assert.equal(stat?.size, 9n);
      const list = { Ref, DirPath: '/', IncludePattern: 'w*', MountIndex: 0 };
      const { entries } = await calls.call(methods.readDirContainer, list);
      assert.deepEqual(
        entries.map((e) => e.path),
        ['written'],
      );

      const trap = 'trap "echo caught; exit 9" USR1; echo ready; while :; do sleep 0.05; done';
      const trapped = await calls.start('trapped', 'one', ['sh', '-c', trap]);
      await trapped.says('ready');
      await trapped.signal('USR1');
      assert.equal((await trapped.exit.promise).Code, 9);
      await holder.signal('KILL');
      assert.equal((await holder.exit.promise).Code, 137);
      // The container ended with its first process.
      const late = await calls.start('late', 'one', ['true']);
      assert.equal((await late.exit.promise).Code, 255);
      await assert.rejects(calls.release('one'), /exit code: /);
      await assert.rejects(calls.release('one'), /container details for one not found/);
    }));

  void test('a terminal follows the size of its window', () =>
    build(async ({ calls, solve }) => {
      await calls.newContainer({ ContainerID: 'tty', Mounts: [bind('/', await solve(busybox()))] });
      const shell = await calls.start('shell', 'tty', ['sh'], {
        Fds: [0, 1, 2],
        Tty: true,
        Meta: { env: ['PS1=% '] },
      });
      await shell.says('% ');
      await shell.resize(31, 97);
      await until('the size has arrived', async () => {
        await shell.write('stty size; echo $TERM $PATH\n');
        return shell.output[1].includes('31 97');
      });
      await shell.says('xterm /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin');
      await shell.write('exit 4\n');
      assert.equal((await shell.exit.promise).Code, 4);
      assert.equal(shell.output[2], '');
    }));

  void test('mounts, secrets and hosts of the container', async () => {
    const secrets = await provideSecrets(new Map([['key', { value: Buffer.from('hidden') }]]));
    await build(
      async ({ calls, solve }) => {
        const made = busybox()
          .run({ args: ['sh', '-c', 'echo made > /data/file'] })
          .addMount('/data', scratch());
        await calls.newContainer({
          ContainerID: 'mounts',
          Mounts: [
            bind('/', await solve(busybox())),
            { ...bind('/data', await solve(made)), readonly: true },
            { dest: '/tmp/t', mountType: 4 },
            { dest: '/run/key', mountType: 1, secretOpt: { ID: 'key', mode: 0o400 } },
            { dest: '/empty' },
          ],
          extraHosts: [{ Host: 'some.host', IP: '192.0.2.7' }],
        });
        const script =
          'cat /data/file /run/key; touch /data/x || echo no; touch /tmp/t/x /empty/x; grep some.host /etc/hosts; echo; echo $KEY';
        const process = await calls.start('p', 'mounts', ['sh', '-c', script], {
          secretenv: [{ ID: 'key', name: 'KEY' }],
        });
        assert.equal((await process.exit.promise).Code, 0, process.output[2]);
        assert.match(process.output[1], /^made\nhiddenno\n192\.0\.2\.7\tsome\.host\n\nhidden\n$/);
        const gone = await calls.start('q', 'mounts', ['true'], { secretenv: [{ ID: 'gone', name: 'X' }] });
        assert.match((await gone.exit.promise).Error?.message ?? '', /gone: not found/);
        await calls.release('mounts');
      },
      { attachables: [secrets] },
    ).catch((error: unknown) => {
      // What a process failed with is what the release says.
      assert.match(String(error), /gone: not found/);
    });
  });

  void test('a failed step can be looked into, and its op started again', () =>
    build(async ({ gateway, calls }) => {
      const failing = busybox().run({ args: ['sh', '-c', 'echo half > /out/half; echo root > /mark; exit 5'] });
      const state = failing.addMount('/out', scratch());
      const error = await gateway.solve({ definition: state.marshal(), evaluate: true }).catch((e: unknown) => e);
      assert.ok(error instanceof BuildError);
      const solve = error.findDetail('errdefs.Solve') as { op: object; inputIDs: string[]; mountIDs: string[] };
      assert.ok('exec' in solve.op);
      assert.equal(solve.inputIDs.length, 2);
      assert.equal(solve.inputIDs[1], '');
      assert.equal(solve.mountIDs.length, 2);
      await calls.newContainer({
        ContainerID: 'debug',
        Mounts: [bind('/', solve.mountIDs[0]), bind('/out', solve.mountIDs[1]), bind('/before', solve.inputIDs[0])],
      });
      const look = await calls.start('look', 'debug', ['sh', '-c', 'cat /out/half /mark; ls /before/mark']);
      assert.equal((await look.exit.promise).Code, 1);
      assert.equal(look.output[1], 'half\nroot\n');
    }));

  void test('what may not run does not, and what is nonsense has an error of its own', () =>
    build(async ({ calls, solve }) => {
      const root = await solve(busybox());
      const Mounts = [bind('/', root)];
      const refused = async (request: Parameters<Gateway['newContainer']>[0], code: Code, text: RegExp) => {
        await assert.rejects(calls.newContainer(request), (error: BuildError) => {
          assert.match(error.message, text);
          assert.equal(error.code, code, error.message);
          return true;
        });
      };
      await refused({ ContainerID: '../x', Mounts }, Code.InvalidArgument, /invalid container id/);
      await refused({ ContainerID: '', Mounts }, Code.InvalidArgument, /invalid container id/);
      await refused({ ContainerID: 'a', Mounts: [] }, Code.InvalidArgument, /has no mount at \//);
      await refused({ ContainerID: 'a', Mounts: [bind('/', '../../etc')] }, Code.NotFound, /no such ref/);
      await refused(
        { ContainerID: 'a', Mounts: [...Mounts, { dest: '/s', mountType: 1 }] },
        Code.InvalidArgument,
        /secret/,
      );
      await calls.newContainer({ ContainerID: 'a', Mounts });
      await refused({ ContainerID: 'a', Mounts }, Code.AlreadyExists, /already exists/);
      const insecure = await calls.start('i', 'a', ['true'], { Security: 1 });
      assert.match((await insecure.exit.promise).Error?.message ?? '', /security\.insecure is not allowed/);
      const unknown = await calls.start('u', 'a', ['true'], { Security: 7 as never });
      assert.match((await unknown.exit.promise).Error?.message ?? '', /invalid security mode 7/);
      await calls.newContainer({ ContainerID: 'h', Mounts, Network: 1 });
      const host = await calls.start('h', 'h', ['true']);
      assert.match((await host.exit.promise).Error?.message ?? '', /network\.host is not allowed/);
      const fine = await calls.start('f', 'a', ['/no/such/program']);
      assert.notEqual((await fine.exit.promise).Code, 0);
      const { Ref, ...place } = { Ref: 'a', FilePath: '/etc/passwd', Range: undefined, MountIndex: 9 };
      await assert.rejects(calls.call(methods.readFileContainer, { Ref, ...place }), /mount index 9 is out of bounds/);
      await calls.send({ ProcessID: 'nobody', Input: { $case: 'Resize', value: { Rows: 1, Cols: 1 } } });
      const end = await calls.streamEnd;
      assert.equal(end?.code, Code.NotFound);
      assert.match(end?.message ?? '', /IO for process "nobody" not found/);
    }));

  void test('a build that ends takes its containers along', async () => {
    let waiting: Promise<void> | undefined;
    await build(async ({ calls, solve }) => {
      const root = await solve(busybox());
      for (const id of ['a', 'b']) {
        await calls.newContainer({ ContainerID: id, Mounts: [bind('/', root)] });
        await calls.start(id, id, ['sh', '-c', 'trap "" TERM; sleep 1000 & sleep 1000']);
        await calls.start(`${id}2`, id, ['sleep', '1000'], { Tty: true, Fds: [0, 1] });
      }
      // One that waits for what another container holds.
      const locked = { dest: '/c', mountType: 3 as const, cacheOpt: { ID: 'one', sharing: 2 as const } };
      const Mounts = [bind('/', root), locked];
      await calls.newContainer({ ContainerID: 'holds', Mounts });
      waiting = calls.newContainer({ ContainerID: 'waits', Mounts });
      waiting.catch(() => {});
      await new Promise((resolve) => setTimeout(resolve, 200));
    });
    await assert.rejects(waiting as Promise<void>, /build has ended/);
    assert.deepEqual(mountsBelow(daemon.root), []);
  });

  void test('nothing stays behind', () => daemon.stopWithoutLeaks());
});
