import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { createWorker, defaultGcPolicies, detectPlatforms } from './index.ts';
import { architectureOfEntry } from './platforms.ts';

const V3 = 'cx16 lahf_lm popcnt pni sse4_1 sse4_2 ssse3 avx avx2 bmi1 bmi2 f16c fma abm movbe'.split(' ');

void test('platforms: the own one with its levels, then what is emulated in upstream order', () => {
  const text = (facts: Parameters<typeof detectPlatforms>[0]): string[] =>
    detectPlatforms(facts).map((p) =>
      [p.os, p.architecture, ...(p.variant === undefined ? [] : [p.variant])].join('/'),
    );
  assert.deepEqual(text({ arch: 'x64', cpuFlags: new Set(V3), emulated: new Set(['arm', 's390x', 'arm64']) }), [
    'linux/amd64',
    'linux/amd64/v2',
    'linux/amd64/v3',
    'linux/arm64',
    'linux/s390x',
    'linux/386',
    'linux/arm/v7',
    'linux/arm/v6',
  ]);
  assert.deepEqual(text({ arch: 'arm64', cpuFlags: new Set(), emulated: new Set(['amd64']) }), [
    'linux/arm64',
    'linux/amd64',
  ]);
});

void test('binfmt_misc entries are read by their magic', () => {
  const entry = (magic: string): string => `enabled\ninterpreter /usr/bin/qemu\nflags: OCF\noffset 0\nmagic ${magic}\n`;
  assert.equal(architectureOfEntry(entry('7f454c460201010000000000000000000200b700')), 'arm64');
  assert.equal(architectureOfEntry(entry('7f454c4602020100000000000000000000020016')), 's390x');
  assert.equal(architectureOfEntry(entry('cafebabe')), undefined);
  assert.equal(architectureOfEntry('disabled\nmagic 7f454c460201010000000000000000000200b700\n'), undefined);
});

void test('the id is kept, labels are upstream keys and the configured ones win', (t) => {
  const root = mkdtempSync(join(tmpdir(), 'worker-'));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  const options = { root, snapshotter: 'overlayfs', network: 'host', hostname: 'box', labels: { a: 'b' } };
  const worker = createWorker(options);
  assert.match(worker.id, /^[0-9a-z]{25}$/);
  assert.equal(createWorker(options).id, worker.id);
  assert.deepEqual(Object.fromEntries(worker.labels), {
    'org.mobyproject.buildkit.worker.executor': 'oci',
    'org.mobyproject.buildkit.worker.snapshotter': 'overlayfs',
    'org.mobyproject.buildkit.worker.hostname': 'box',
    'org.mobyproject.buildkit.worker.network': 'host',
    'org.mobyproject.buildkit.worker.oci.process-mode': 'sandbox',
    'org.mobyproject.buildkit.worker.selinux.enabled': 'false',
    a: 'b',
  });
});

void test('default policies follow the size of the disk', () => {
  const policies = defaultGcPolicies({}, 500 * 2 ** 30);
  assert.equal(policies.length, 4);
  assert.deepEqual(policies[2], { reservedSpace: 10e9, maxUsedSpace: 100e9, minFreeSpace: 101e9 });
  const [, , small] = defaultGcPolicies({}, 50 * 2 ** 30);
  assert.deepEqual(small, { reservedSpace: 6e9, maxUsedSpace: 41e9, minFreeSpace: 11e9 });
  const [, , own, last] = defaultGcPolicies({ reservedSpace: { bytes: 5 } }, 50 * 2 ** 30);
  assert.deepEqual(own, { reservedSpace: 5, maxUsedSpace: 0, minFreeSpace: 0 });
  assert.equal(last?.all, true);
});
