import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cgroupMode, linuxLimits } from './resources.ts';

const V1 = [
  '31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755',
  '32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime shared:9 - cgroup cgroup rw,cpu',
].join('\n');
const V2_ASIDE = '41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw';

void test('the cgroup mode is told from the mounts', () => {
  assert.equal(cgroupMode(V1), 'v1');
  assert.equal(cgroupMode(`${V1}\n${V2_ASIDE}`), 'hybrid');
  assert.equal(cgroupMode('30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 master:1 - cgroup2 cgroup2 rw'), 'v2');
  assert.equal(cgroupMode(''), 'v1');
});

void test('mounts of running containers do not count', () => {
  const container = '99 23 0:29 / /run/x/rootfs/sys/fs/cgroup ro - cgroup cgroup rw,cpu';
  assert.equal(cgroupMode(`30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n${container}`), 'v2');
});

const ALL = {
  memory: 268435456,
  memorySwap: 402653184,
  cpuShares: 1024,
  cpuPeriod: 50000,
  cpuQuota: 25000,
  cpusetCpus: '0-1',
  cpusetMems: '0',
};

void test('version 1 takes limits as fields', () => {
  const expected = {
    memory: { limit: 268435456, swap: 402653184 },
    cpu: { shares: 1024, period: 50000, quota: 25000, cpus: '0-1', mems: '0' },
  };
  assert.deepEqual(linuxLimits(ALL, 'v1'), expected);
  assert.deepEqual(linuxLimits(ALL, 'hybrid'), expected);
  assert.deepEqual(linuxLimits({ memory: 0, cpusetCpus: '' }, 'v1'), {});
  assert.deepEqual(linuxLimits(undefined, 'v1'), {});
});

void test('version 2 takes limits as files', () => {
  assert.deepEqual(linuxLimits(ALL, 'v2'), {
    unified: {
      'memory.max': '268435456',
      'memory.swap.max': '134217728',
      'cpu.weight': '39',
      'cpu.max': '25000 50000',
      'cpuset.cpus': '0-1',
      'cpuset.mems': '0',
    },
  });
  assert.deepEqual(linuxLimits({ cpuPeriod: 50000 }, 'v2'), { unified: { 'cpu.max': 'max 50000' } });
  assert.deepEqual(linuxLimits({ cpuQuota: 25000 }, 'v2'), { unified: { 'cpu.max': '25000' } });
  assert.deepEqual(linuxLimits({ memory: -1, memorySwap: -1 }, 'v2'), {
    unified: { 'memory.max': 'max', 'memory.swap.max': 'max' },
  });
  assert.equal(linuxLimits({ cpuShares: 2 }, 'v2').unified?.['cpu.weight'], '1');
  assert.equal(linuxLimits({ cpuShares: 262144 }, 'v2').unified?.['cpu.weight'], '10000');
  assert.deepEqual(linuxLimits({}, 'v2'), {});
});

void test('version 2 refuses a swap limit that says nothing about swap', () => {
  assert.throws(() => linuxLimits({ memorySwap: 10 }, 'v2'), /unable to set swap limit without memory limit/);
  assert.throws(() => linuxLimits({ memory: 20, memorySwap: 10 }, 'v2'), /should be >= memory limit/);
});
