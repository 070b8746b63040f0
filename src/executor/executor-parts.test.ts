import assert from 'node:assert/strict';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { spawnProcess } from '../host/index.ts';
import { cgroupsPath } from './cgroups.ts';
import { missingMountPoints, removeMountStubs } from './mount-stubs.ts';
import { makeHosts, makeResolvConf } from './network-files.ts';
import { removeFolder } from './remove-folder.ts';
import { resolveUser } from './user.ts';

describe('parts of a container', () => {
  let base: string;
  before(() => {
    base = realpathSync(mkdtempSync(join(tmpdir(), 'container-parts-')));
  });
  after(() => rmSync(base, { recursive: true, force: true }));

  test('a folder goes with all below it, and what its links lead to stays', async () => {
    const kept = join(base, 'kept');
    const folder = join(base, 'folder');
    mkdirSync(join(folder, 'a/b'), { recursive: true });
    mkdirSync(kept);
    for (const path of [join(kept, 'file'), join(folder, 'a/b/file'), join(folder, 'file')]) writeFileSync(path, '');
    symlinkSync(kept, join(folder, 'a/link'));
    await removeFolder(folder);
    assert.deepEqual(readdirSync(base), ['kept']);
    assert.deepEqual(readdirSync(kept), ['file']);
    await removeFolder(folder);
    rmSync(kept, { recursive: true });
    const file = join(base, 'file');
    writeFileSync(file, '');
    await assert.rejects(removeFolder(file), { code: 'ENOTDIR' });
    rmSync(file);
  });

  test('users', async () => {
    const root = join(base, 'users');
    mkdirSync(join(root, 'etc'), { recursive: true });
    assert.deepEqual(await resolveUser(root, ''), { uid: 0, gid: 0, additionalGids: [0] });
    assert.deepEqual(await resolveUser(root, '7'), { uid: 7, gid: 0, additionalGids: [0] });
    assert.deepEqual(await resolveUser(root, '7:8'), { uid: 7, gid: 8, additionalGids: [8] });
    await assert.rejects(
      resolveUser(root, 'ann'),
      /^BuildError: unable to find user ann: no matching entries in passwd file$/,
    );
    writeFileSync(join(root, 'accounts'), '# x\nann:x:5:6::/:/bin/sh\nodd:x:many\n');
    symlinkSync('/accounts', join(root, 'etc/passwd'));
    writeFileSync(join(root, 'etc/group'), 'a:x:6:\nb:x:9:zed,ann\n');
    assert.deepEqual(await resolveUser(root, 'ann'), { uid: 5, gid: 6, additionalGids: [6, 9] });
    assert.deepEqual(await resolveUser(root, '5'), { uid: 5, gid: 6, additionalGids: [6, 9] });
    assert.deepEqual(await resolveUser(root, 'ann:b'), { uid: 5, gid: 9, additionalGids: [9] });
    await assert.rejects(resolveUser(root, 'ann:none'), /unable to find group none: no matching entries in group file/);
    await assert.rejects(resolveUser(root, '99999999999'), /must be in range/);
  });

  test('an account file that is a fifo or too large is not read', async () => {
    const root = join(base, 'hostile');
    mkdirSync(join(root, 'etc'), { recursive: true });
    await (
      await spawnProcess({ command: 'mkfifo', args: [join(root, 'etc/passwd')], stdio: ['ignore', 'ignore', 'ignore'] })
    ).exited;
    await assert.rejects(resolveUser(root, 'ann'), /unable to find user/);
    rmSync(join(root, 'etc/passwd'));
    writeFileSync(join(root, 'etc/passwd'), Buffer.alloc((1 << 20) + 1));
    await assert.rejects(resolveUser(root, 'ann'), /exceeds 1048576 bytes/);
  });

  test('resolv.conf', () => {
    const host = '# c\nnameserver 127.0.0.1\nnameserver 10.0.0.2\nsearch a b\noptions ndots:1\n';
    assert.equal(makeResolvConf(host, 'default', undefined), 'nameserver 10.0.0.2\nsearch a b\noptions ndots:1\n');
    assert.match(makeResolvConf(host, 'host', undefined), /^nameserver 127\.0\.0\.1\nnameserver 10\.0\.0\.2\n/);
    assert.match(
      makeResolvConf('nameserver ::1\n', 'none', undefined),
      /^nameserver 8\.8\.8\.8\nnameserver 8\.8\.4\.4\n/,
    );
    const dns = { nameservers: ['1.1.1.1'], options: ['edns0'], searchDomains: ['c'] };
    assert.equal(makeResolvConf(host, 'default', dns), 'nameserver 1.1.1.1\nsearch c\noptions edns0\n');
    assert.throws(() => makeResolvConf(host, 'default', { ...dns, nameservers: ['x'] }), /bad nameserver address/);
  });

  test('hosts, whose lines no one else writes', () => {
    assert.equal(
      makeHosts({ hostname: '', extraHosts: [] }),
      '127.0.0.1\tlocalhost buildkitsandbox\n::1\tlocalhost ip6-localhost ip6-loopback\n',
    );
    assert.throws(
      () => makeHosts({ hostname: '', extraHosts: [{ host: 'a\n1.1.1.1 b', ip: '::1' }] }),
      /invalid host name/,
    );
    assert.throws(() => makeHosts({ hostname: '', extraHosts: [{ host: 'a', ip: '1.1.1' }] }), /failed to parse IP/);
    assert.throws(() => makeHosts({ hostname: 'a b', extraHosts: [] }), /invalid host name/);
  });

  test("a client's cgroup parent leads below ours", () => {
    assert.equal(cgroupsPath(undefined, '', 'id'), '/buildkit/id');
    assert.equal(cgroupsPath('jobs', '', 'id'), '/jobs/buildkit/id');
    assert.equal(cgroupsPath('jobs', '../../system/x', 'id'), '/jobs/buildkit/system/x/id');
    assert.equal(cgroupsPath('jobs.slice:', '', 'id'), 'jobs.slice:id');
    assert.throws(() => cgroupsPath(undefined, 'a.slice:', 'id'), /invalid cgroup parent/);
  });

  test('mount stubs go when they are empty, and the times of their parents stay', () => {
    const root = join(base, 'stubs');
    mkdirSync(join(root, 'etc'), { recursive: true });
    mkdirSync(join(root, 'kept'));
    const some = missingMountPoints(root, ['/kept', '/a/b'], false);
    const all = missingMountPoints(root, ['/a/b', '/full/x'], true);
    assert.deepEqual(some, [join(root, 'etc/resolv.conf'), join(root, 'etc/hosts'), join(root, 'a/b')]);
    writeFileSync(join(root, 'etc/hosts'), '');
    writeFileSync(join(root, 'etc/resolv.conf'), 'kept');
    mkdirSync(join(root, 'a/b'), { recursive: true });
    mkdirSync(join(root, 'full/x'), { recursive: true });
    writeFileSync(join(root, 'full/file'), '');
    utimesSync(join(root, 'etc'), 1, 2);
    removeMountStubs(root, some);
    assert.deepEqual(readdirSync(join(root, 'etc')), ['resolv.conf']);
    assert.equal(statSync(join(root, 'etc')).mtimeMs, 2000);
    assert.deepEqual(readdirSync(join(root, 'a')), []);
    removeMountStubs(root, all);
    assert.deepEqual(readdirSync(root).sort(), ['etc', 'full', 'kept']);
    assert.deepEqual(readdirSync(join(root, 'full')), ['file']);
  });
});
