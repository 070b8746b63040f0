import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildSpec } from './build-spec.ts';
import type { SpecInput } from './build-spec.ts';
import type { HostFacts } from './host-facts.ts';

const FACTS: HostFacts = {
  architecture: 'amd64',
  kernelRelease: '6.1.0',
  seccomp: true,
  cgroup: 'v1',
  cgroupNamespace: true,
  capabilities: ['CAP_CHOWN', 'CAP_SYS_ADMIN'],
  inUserNamespace: false,
  freeLoop: 2,
};
const INPUT: SpecInput = {
  args: ['/bin/sh', '-c', 'true'],
  env: ['PATH=/bin', 'A=1'],
  cwd: '/src',
  uid: 1000,
  gid: 100,
  additionalGids: [5],
  rootPath: '/bundle/rootfs',
  readonlyRootfs: true,
  hostname: '',
  terminal: false,
  mounts: [],
  network: { kind: 'none' },
  security: 'sandbox',
  ulimits: [],
  cgroupsPath: '/buildkit/x',
};

void test('a sandboxed process', () => {
  const spec = buildSpec(INPUT, FACTS);
  assert.equal(spec.ociVersion, '1.0.2');
  assert.equal(spec.hostname, 'buildkitsandbox');
  assert.deepEqual(spec.root, { path: '/bundle/rootfs', readonly: true });
  const { capabilities, ...process } = spec.process;
  assert.deepEqual(process, {
    terminal: false,
    user: { uid: 1000, gid: 100, additionalGids: [100, 5] },
    args: ['/bin/sh', '-c', 'true'],
    env: ['PATH=/bin', 'A=1'],
    cwd: '/src',
    noNewPrivileges: false,
  });
  assert.deepEqual(Object.keys(capabilities), ['bounding', 'effective', 'permitted']);
  assert.equal(capabilities['bounding']?.length, 14);
  assert.ok(!capabilities['bounding']?.includes('CAP_SYS_ADMIN'));
  assert.deepEqual(spec.linux.resources, { devices: [{ allow: false, access: 'rwm' }] });
  assert.equal(spec.linux.cgroupsPath, '/buildkit/x');
  assert.ok(spec.linux.maskedPaths.includes('/proc/kcore'));
  assert.ok(spec.linux.readonlyPaths.includes('/proc/sys'));
  assert.equal(spec.linux.seccomp?.defaultAction, 'SCMP_ACT_ERRNO');
  assert.equal(spec.linux.devices, undefined);
  assert.equal(buildSpec(INPUT, { ...FACTS, seccomp: false }).linux.seccomp, undefined);
});

void test('an insecure process', () => {
  const spec = buildSpec({ ...INPUT, security: 'insecure' }, FACTS);
  for (const set of ['bounding', 'effective', 'inheritable', 'permitted', 'ambient']) {
    assert.deepEqual(spec.process.capabilities[set], ['CAP_CHOWN', 'CAP_SYS_ADMIN'], set);
  }
  assert.equal(spec.linux.seccomp, undefined);
  assert.deepEqual([spec.linux.maskedPaths, spec.linux.readonlyPaths], [[], []]);
  assert.deepEqual(spec.linux.resources.devices, [
    { allow: true, type: 'c', access: 'rwm' },
    { allow: true, type: 'b', access: 'rwm' },
  ]);
  const options = (destination: string) => spec.mounts.find((each) => each.destination === destination)?.options;
  assert.deepEqual(options('/sys'), ['nosuid', 'noexec', 'nodev', 'rw']);
  assert.deepEqual(options('/sys/fs/cgroup'), ['rw', 'nosuid', 'noexec', 'nodev']);
  assert.deepEqual(spec.linux.devices?.[2], { path: '/dev/fuse', type: 'c', major: 10, minor: 229 });
  assert.deepEqual(spec.linux.devices?.at(-1), { path: '/dev/loop9', type: 'b', major: 7, minor: 9 });
  const inUserNamespace = buildSpec({ ...INPUT, security: 'insecure' }, { ...FACTS, inUserNamespace: true });
  assert.equal(inUserNamespace.linux.devices, undefined);
});

void test('namespaces follow the network and the cgroup version', () => {
  const types = (input: Partial<SpecInput>, facts: Partial<HostFacts> = {}) =>
    buildSpec({ ...INPUT, ...input }, { ...FACTS, ...facts }).linux.namespaces;
  const common = [{ type: 'pid' }, { type: 'ipc' }, { type: 'uts' }, { type: 'mount' }];
  assert.deepEqual(types({}), [...common, { type: 'network' }]);
  assert.deepEqual(types({ network: { kind: 'host' } }), common);
  assert.deepEqual(types({ network: { kind: 'path', path: '/run/ns/1' } }), [
    ...common,
    { type: 'network', path: '/run/ns/1' },
  ]);
  assert.deepEqual(types({ network: { kind: 'host' } }, { cgroup: 'v2' }), [...common, { type: 'cgroup' }]);
});

void test('mounts of a build follow the defaults, parents first, and replace those of the same destination', () => {
  const spec = buildSpec(
    {
      ...INPUT,
      mounts: [
        { source: '/a', destination: '/src/deep/er', options: ['rbind', 'ro'] },
        { source: '/b', destination: '/src/', options: [] },
        { type: 'tmpfs', source: 'tmpfs', destination: '/dev', options: ['nosuid'] },
        { source: '/c', destination: 'src', options: ['bind'] },
      ],
    },
    FACTS,
  );
  assert.deepEqual(
    spec.mounts.map((each) => `${each.destination} ${each.type} ${each.source}`),
    [
      '/proc proc proc',
      '/dev tmpfs tmpfs',
      '/dev/pts devpts devpts',
      '/dev/shm tmpfs shm',
      '/dev/mqueue mqueue mqueue',
      '/sys sysfs sysfs',
      '/sys/fs/cgroup cgroup cgroup',
      '/src bind /c',
      '/src/deep/er bind /a',
    ],
  );
  assert.deepEqual(spec.mounts[1]?.options, ['nosuid']);
  assert.deepEqual(spec.mounts.at(-1)?.options, ['rbind', 'ro']);
});

void test('a mount on /etc hides the network files', () => {
  const mounts = ['/etc', '/etc/resolv.conf', '/etc/hosts', '/a/b', '/a'].map((destination) => ({
    source: '/x',
    destination,
    options: [],
  }));
  assert.deepEqual(
    buildSpec({ ...INPUT, mounts }, FACTS)
      .mounts.slice(7)
      .map((each) => each.destination),
    ['/etc/resolv.conf', '/etc/hosts', '/etc', '/a', '/a/b'],
  );
});

void test('a bind mount always carries the flag', () => {
  const spec = buildSpec({ ...INPUT, mounts: [{ source: '/a', destination: '/x', options: ['ro'] }] }, FACTS);
  assert.deepEqual(spec.mounts.at(-1), { destination: '/x', type: 'bind', source: '/a', options: ['rbind', 'ro'] });
});

void test('PATH and, on a terminal, TERM have defaults; an entry without "=" is dropped', () => {
  const env = (given: string[], terminal: boolean) => buildSpec({ ...INPUT, env: given, terminal }, FACTS).process.env;
  assert.deepEqual(env(['A=1', 'B'], false), [
    'A=1',
    'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  ]);
  assert.deepEqual(env(['PATH='], true), ['PATH=', 'TERM=xterm']);
  assert.deepEqual(env(['PATH=/x', 'TERM=dumb'], true), ['PATH=/x', 'TERM=dumb']);
});

void test('limits keep all 64 bits on their way into JSON', () => {
  const ulimits = [
    { name: 'nofile', soft: 1024, hard: 4096 },
    { name: 'core', soft: -1, hard: -1 },
  ];
  const spec = buildSpec({ ...INPUT, ulimits }, FACTS);
  assert.equal(
    JSON.stringify(spec.process.rlimits),
    '[{"type":"RLIMIT_NOFILE","soft":1024,"hard":4096},' +
      '{"type":"RLIMIT_CORE","soft":18446744073709551615,"hard":18446744073709551615}]',
  );
});

void test('an unknown limit is refused', () => {
  assert.throws(() => buildSpec({ ...INPUT, ulimits: [{ name: 'bogus', soft: 1, hard: 1 }] }, FACTS), {
    message: 'invalid ulimit type: bogus',
  });
});
