/** Steps in a network of their own, made by the real plugins. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Daemon } from './daemon.ts';
import { cannotRun, makeScratch, writeContext } from './scratch.ts';
import type { Scratch } from './scratch.ts';

const PLUGINS = ['/usr/lib/cni', '/opt/cni/bin'].find((folder) => existsSync(join(folder, 'bridge')));
const IPTABLES = ['/usr/sbin/iptables', '/sbin/iptables'].some((path) => existsSync(path));
const skip = cannotRun || (PLUGINS === undefined ? "needs CNI's plugins" : IPTABLES ? false : 'needs iptables');
const BRIDGE = `bk-test${process.pid % 100_000}`;
const INTERFACE = `/sys/class/net/${BRIDGE}`;

void describe('the network mode bridge', { skip, timeout: 120_000 }, () => {
  let scratch: Scratch;
  let daemon: Daemon;

  before(async () => {
    scratch = await makeScratch();
    const worker = `networkMode = "bridge"\ncniBinaryPath = "${PLUGINS}"\nbridgeName = "${BRIDGE}"\nbridgeSubnet = "10.213.0.0/24"`;
    const dns = 'nameservers = ["10.213.0.9"]\nsearchDomains = ["example.test"]\noptions = ["ndots:3"]';
    writeFileSync(join(scratch.folder, 'buildkitd.toml'), `[worker.oci]\n${worker}\n[dns]\n${dns}\n`);
    daemon = await Daemon.start(scratch.folder);
  });
  after(async () => {
    await daemon?.end();
    await scratch?.remove();
  });

  void test('a step reaches the bridge, and a kill leaves nothing', async () => {
    const context = writeContext(join(scratch.folder, 'context'), {
      Dockerfile: [
        'FROM busybox',
        'RUN ip addr show dev lo | grep -q 127.0.0.1/8 && ip addr show dev eth0 | grep -q 10.213.0. && ip route | grep -q "default via 10.213.0.1"',
        'RUN grep -q "^nameserver 10.213.0.9$" /etc/resolv.conf && grep -q "^search example.test$" /etc/resolv.conf && grep -q "^options ndots:3$" /etc/resolv.conf',
        'RUN --network=none ! ip addr show dev eth0',
      ].join('\n'),
    });
    await daemon.ask(...context, ...scratch.busybox);
    const namespaces = join(daemon.root, 'net/cni');
    const before = readdirSync(namespaces);
    assert.equal(before.length, 1);
    await daemon.kill();
    assert.ok(existsSync(INTERFACE));
    await daemon.restart();
    const then = readdirSync(namespaces);
    assert.ok(!then.includes(before[0] as string), `${before[0]} is there still`);
    await daemon.stop();
    assert.deepEqual(readdirSync(namespaces), []);
    assert.equal(existsSync(INTERFACE), false);
  });
});
