import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SANDBOX_CAPABILITIES, effectiveCapabilities } from './capabilities.ts';
import { defaultSeccomp } from './seccomp.ts';
import type { SeccompProfile } from './seccomp.ts';

const AMD64 = { architecture: 'amd64', kernelRelease: '6.1.0-18-amd64', bounding: SANDBOX_CAPABILITIES };

function rulesOf(profile: SeccompProfile, name: string) {
  return profile.syscalls.filter((rule) => rule.names.includes(name));
}

void test('the sandbox filter refuses by default and allows what its capabilities need', () => {
  const profile = defaultSeccomp(AMD64);
  assert.equal(profile.defaultAction, 'SCMP_ACT_ERRNO');
  assert.equal(profile.defaultErrnoRet, 1);
  assert.deepEqual(profile.architectures, ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86', 'SCMP_ARCH_X32']);
  for (const name of ['read', 'execve', 'openat2', 'mknod', 'chroot', 'arch_prctl', 'ptrace']) {
    assert.equal(rulesOf(profile, name).length, 1, name);
  }
  for (const name of [
    'mount',
    'unshare',
    'setns',
    'bpf',
    'reboot',
    'init_module',
    'keyctl',
    'io_uring_setup',
    'kcmp',
  ]) {
    assert.equal(rulesOf(profile, name).length, 0, name);
  }
});

void test('clone may make no namespace, and clone3 does not exist', () => {
  const profile = defaultSeccomp(AMD64);
  assert.deepEqual(rulesOf(profile, 'clone'), [
    {
      names: ['clone'],
      action: 'SCMP_ACT_ALLOW',
      args: [{ index: 0, value: 2114060288, op: 'SCMP_CMP_MASKED_EQ' }],
    },
  ]);
  assert.deepEqual(rulesOf(profile, 'clone3'), [{ names: ['clone3'], action: 'SCMP_ACT_ERRNO', errnoRet: 38 }]);
  const s390 = defaultSeccomp({ ...AMD64, architecture: 's390x' });
  assert.equal(rulesOf(s390, 'clone')[0]?.args?.[0]?.index, 1);
});

void test('CAP_SYS_ADMIN opens mount and both clones', () => {
  const profile = defaultSeccomp({ ...AMD64, bounding: [...SANDBOX_CAPABILITIES, 'CAP_SYS_ADMIN'] });
  assert.equal(rulesOf(profile, 'mount').length, 1);
  assert.deepEqual(
    rulesOf(profile, 'clone3').map((rule) => rule.action),
    ['SCMP_ACT_ALLOW'],
  );
});

void test('sockets of the kernel crypto and of VMs are refused', () => {
  const allowed = rulesOf(defaultSeccomp(AMD64), 'socket').map((rule) => rule.args?.[0]);
  assert.deepEqual(allowed, [
    { index: 0, value: 38, op: 'SCMP_CMP_LT' },
    { index: 0, value: 39, op: 'SCMP_CMP_EQ' },
    { index: 0, value: 40, op: 'SCMP_CMP_GT' },
  ]);
});

void test('tracing hangs on the kernel, native calls on the processor', () => {
  assert.equal(rulesOf(defaultSeccomp({ ...AMD64, kernelRelease: '4.7.10' }), 'ptrace').length, 0);
  assert.equal(rulesOf(defaultSeccomp({ ...AMD64, kernelRelease: '4.8.0' }), 'ptrace').length, 1);
  const arm = defaultSeccomp({ ...AMD64, architecture: 'arm64' });
  assert.deepEqual(arm.architectures, ['SCMP_ARCH_AARCH64', 'SCMP_ARCH_ARM']);
  assert.equal(rulesOf(arm, 'cacheflush').length, 1);
  assert.equal(rulesOf(arm, 'arch_prctl').length, 0);
});

void test('capabilities are read off the status of a process', () => {
  assert.deepEqual(effectiveCapabilities('CapPrm:\t0000000000000000\nCapEff:\t0000000000200001\n'), [
    'CAP_CHOWN',
    'CAP_SYS_ADMIN',
  ]);
  assert.equal(effectiveCapabilities('CapEff:\tffffffffffffffff\n').at(-1), 'CAP_CHECKPOINT_RESTORE');
  assert.equal(effectiveCapabilities('CapEff:\t000001ffffffffff\n').length, 41);
  assert.deepEqual(effectiveCapabilities(''), []);
});
