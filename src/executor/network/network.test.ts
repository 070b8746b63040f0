import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { inNetworkNamespace, makeTcpSocket, mountPoints, unmount } from '../../host/index.ts';
import { parseCniConfig } from './cni-config.ts';
import { createNetworks } from './index.ts';
import type { NetworkLease, Networks, NetworkOptions } from './index.ts';
import { NamespacePool } from './namespace-pool.ts';

const skip = process.getuid?.() === 0 ? false : 'needs root';
const never = new AbortController().signal;

/** Writes down how it was called, and answers with its own name, or fails where `fail-COMMAND` is beside it. */
const PLUGIN = `#!/bin/sh
dir=$(dirname "$0"); me=$(basename "$0")
echo "$CNI_COMMAND $me $CNI_IFNAME [$CNI_ARGS] $(cat)" >> "$dir/calls"
if [ -e "$dir/fail-$CNI_COMMAND" ] && [ "$me" = second ]; then echo '{"code":7,"msg":"no luck","details":"today"}'; exit 1; fi
[ "$CNI_COMMAND" = DEL ] || echo "{\\"by\\":\\"$me\\"}"
`;

class Bench {
  readonly bin: string;
  readonly options: NetworkOptions;

  constructor(t: TestContext) {
    const folder = mkdtempSync(join(tmpdir(), 'network-'));
    t.after(() => {
      for (const point of mountPoints(folder)) unmount(point);
      rmSync(folder, { recursive: true, force: true });
    });
    this.bin = join(folder, 'bin');
    mkdirSync(this.bin);
    for (const name of ['loopback', 'first', 'second']) {
      writeFileSync(join(this.bin, name), PLUGIN);
      chmodSync(join(this.bin, name), 0o755);
    }
    const cniConfigPath = join(folder, 'net.conflist');
    const plugins = [{ type: 'first', extra: 1 }, { type: 'second' }];
    writeFileSync(cniConfigPath, JSON.stringify({ cniVersion: '1.0.0', name: 'test', plugins }));
    this.options = {
      root: join(folder, 'root'),
      mode: 'cni',
      cniConfigPath,
      cniBinaryDir: this.bin,
      cniPoolSize: 0,
      bridgeName: 'unused0',
      bridgeSubnet: '10.99.0.0/16',
      env: {},
    };
  }

  networks(more: Partial<NetworkOptions> = {}): Networks {
    return createNetworks({ ...this.options, ...more });
  }

  calls(): string[] {
    const path = join(this.bin, 'calls');
    const all = existsSync(path) ? readFileSync(path, 'utf8').trim().split('\n') : [];
    rmSync(path, { force: true });
    return all;
  }

  get mounts(): string[] {
    return mountPoints(this.options.root);
  }
}

function pathOf(lease: NetworkLease): string {
  assert.equal(lease.network.kind, 'path');
  return lease.network.kind === 'path' ? lease.network.path : '';
}

void test('plugins are called in turn and are told the results before', { skip }, async (t) => {
  const bench = new Bench(t);
  const networks = bench.networks();
  const lease = await networks.acquire('web', never);
  assert.notEqual(statSync(pathOf(lease)).ino, statSync('/proc/thread-self/ns/net').ino);
  const args = '[K8S_POD_NAME=web;IgnoreUnknown=1]';
  const own = '"name":"test","cniVersion":"1.0.0"';
  assert.deepEqual(bench.calls(), [
    `ADD loopback lo ${args} {"type":"loopback","name":"cni-loopback","cniVersion":"0.3.1"}`,
    `ADD first eth0 ${args} {"type":"first","extra":1,${own}}`,
    `ADD second eth0 ${args} {"type":"second",${own},"prevResult":{"by":"first"}}`,
  ]);
  await lease.release(true);
  assert.deepEqual(bench.calls(), [
    `DEL second eth0 ${args} {"type":"second",${own},"prevResult":{"by":"second"}}`,
    `DEL first eth0 ${args} {"type":"first","extra":1,${own},"prevResult":{"by":"second"}}`,
    `DEL loopback lo ${args} {"type":"loopback","name":"cni-loopback","cniVersion":"0.3.1"}`,
  ]);
  assert.deepEqual(bench.mounts, []);
  await networks.close();
});

void test('what a failing plugin says is told, and nothing stays', { skip }, async (t) => {
  const bench = new Bench(t);
  writeFileSync(join(bench.bin, 'fail-ADD'), '');
  const networks = bench.networks();
  const message = 'CNI setup error: plugin type="second" failed (add): no luck; today';
  await assert.rejects(networks.open(), { message });
  const undone = bench.calls().filter((call) => call.startsWith('DEL'));
  assert.equal(undone.length, 3);
  assert.match(undone[1] ?? '', /^DEL first .*"prevResult":\{"by":"first"\}/);
  assert.deepEqual(bench.mounts, []);
  await networks.close();
});

void test('a namespace is used again, but not one that may have been changed', { skip }, async (t) => {
  const bench = new Bench(t);
  const networks = bench.networks();
  await networks.open();
  const first = await networks.acquire('', never);
  await first.release(true);
  const again = await networks.acquire('', never);
  assert.equal(pathOf(again), pathOf(first));
  await again.release(false);
  assert.deepEqual(bench.mounts, []);
  await networks.close();
});

void test('a successor clears what a kill has left, in another mode too', { skip }, async (t) => {
  const bench = new Bench(t);
  await bench.networks().open();
  assert.equal(bench.mounts.length, 1);
  bench.calls();
  const successor = bench.networks({ mode: 'host' });
  await successor.clearLeftovers();
  assert.equal(bench.calls().length, 3);
  assert.deepEqual(bench.mounts, []);
  assert.equal((await successor.acquire('', never)).network.kind, 'host');
});

void test('behind a proxy nothing is but the proxy, and a successor clears it', { skip }, async (t) => {
  const bench = new Bench(t);
  const networks = bench.networks({ mode: 'host' });
  const lease = await networks.acquireProxied('default', { judge: undefined, note: () => {} }, never);
  const [, address, port] = /^HTTP_PROXY=http:\/\/(10\.89\.\d+\.\d+):(\d+)$/.exec(lease.env[0] ?? '') ?? [];
  assert.match(lease.authority, /^-----BEGIN CERTIFICATE-----\n/);
  /** The error of a connection from within, or what a nonsense request is answered with. */
  const ask = (to: number): Promise<string> =>
    new Promise((resolve) => {
      const fd = inNetworkNamespace(pathOf(lease), () => makeTcpSocket(4));
      const socket = new Socket({ fd, readable: true, writable: true });
      socket.on('error', (error: NodeJS.ErrnoException) => resolve(String(error.code)));
      socket.on('data', (chunk: Buffer) => {
        resolve(chunk.toString().split('\r\n')[0] as string);
        socket.destroy();
      });
      socket.connect(to === 53 ? { host: '192.0.2.1', port: 53 } : { host: address as string, port: to });
      socket.write('x\r\n\r\n');
    });
  assert.equal(await ask(Number(port)), 'HTTP/1.1 400 Bad Request');
  assert.equal(await ask(1), 'ECONNREFUSED');
  assert.equal(await ask(53), 'ENETUNREACH');
  assert.equal(bench.mounts.length, 2);

  await bench.networks({ mode: 'host' }).clearLeftovers();
  assert.deepEqual(bench.mounts, []);
  await lease.release(false);
  await networks.close();
});

void test('the mode', { skip }, (t) => {
  const bench = new Bench(t);
  assert.equal(bench.networks({ mode: 'auto' }).mode, 'cni');
  assert.equal(bench.networks({ mode: 'auto', cniConfigPath: '/absent.json' }).mode, 'host');
  assert.throws(() => bench.networks({ mode: 'none' }), { message: 'invalid network mode: "none"' });
  assert.throws(() => bench.networks({ cniConfigPath: '/absent.json' }), {
    message: 'failed to read cni config "/absent.json": stat /absent.json: no such file or directory',
  });
  assert.throws(() => bench.networks({ mode: 'bridge', bridgeName: '../x' }), /invalid bridge name/);
});

void test('configurations that are none are refused', () => {
  assert.equal(parseCniConfig('{"name":"a","type":"bridge"}', 'x.json').plugins.length, 1);
  const bad = ['{', '[]', '{"plugins":[{"type":"a"}]}', '{"name":"a/b","plugins":[{"type":"a"}]}', '{"name":"a"}'];
  bad.push('{"name":"a","plugins":[]}', '{"name":"a","plugins":[{}]}', '{"name":"a","plugins":[{"type":"../a"}]}');
  for (const text of bad)
    assert.throws(() => parseCniConfig(text, 'x.conflist'), /error parsing configuration list/, text);
});

void test('a namespace whose container was called off is for the next', async () => {
  const removed: string[] = [];
  let count = 0;
  let finish: (() => void) | undefined;
  const pool = new NamespacePool({
    size: 0,
    async make() {
      const id = String(count++);
      await new Promise<void>((resolve) => (finish = resolve));
      return { id, path: id };
    },
    remove: (id) => Promise.resolve(void removed.push(id)),
  });
  const leaving = new AbortController();
  const called = pool.get(leaving.signal);
  leaving.abort();
  await assert.rejects(called, { message: 'context canceled' });
  finish?.();
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal((await pool.get()).id, '0');
  await pool.close();
  await pool.put({ id: '0', path: '0' });
  assert.deepEqual(removed, ['0']);
  await assert.rejects(pool.get(), /closed/);
});
