import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  accountOfId,
  accountOfSid,
  isAbsolutePath,
  resolvePath,
  systemOf,
  variableKey,
  WINDOWS_ACCOUNTS,
} from './index.ts';

const windows = systemOf('windows');
const linux = systemOf('linux');

const NOT_C = 'The specified path is not on the system drive (C:)';
const UNC = 'UNC paths are not supported';

void test('paths of Windows: the drive goes, slashes turn', () => {
  const rows: readonly (readonly [path: string, kept: string, plain: string])[] = [
    ['C:\\app', '/app', '/app'],
    ['c:/app/', '/app/', '/app'],
    ['C:\\', '/', '/'],
    ['\\', '/', '/'],
    ['C:rel\\x\\', 'rel/x/', 'rel/x'],
    ['C:.', '.', '.'],
    ['.\\', '.', '.'],
    ['', '.', '.'],
    ['a\\.\\b\\..\\c', 'a/c', 'a/c'],
    ['C:\\..\\..\\x\\', '/x/', '/x'],
    ['/unix/way', '/unix/way', '/unix/way'],
  ];
  for (const [path, kept, plain] of rows) {
    assert.equal(windows.paths.withoutDrive(path, true), kept, path);
    assert.equal(windows.paths.withoutDrive(path, false), plain, path);
    assert.equal(linux.paths.withoutDrive(path, true), path);
  }
  assert.equal(windows.paths.fromSlash('/a/b'), '\\a\\b');
  assert.equal(linux.paths.fromSlash('/a\\b'), '/a\\b');
});

void test('paths of Windows that are on no image', () => {
  const rows: readonly (readonly [path: string, message: string])[] = [
    ['C:', 'No relative path specified in "C:"'],
    ['d:', 'No relative path specified in "d:"'],
    ['D:\\x', NOT_C],
    ['\u00e9:', NOT_C],
    ['https://x', NOT_C],
    ['\\\\server\\share', UNC],
    ['//server/share', UNC],
    ['\\/x', UNC],
    ['\\\\.\\C$\\a', UNC],
    ['\\\\?\\C:\\a', UNC],
  ];
  for (const [path, message] of rows) {
    assert.throws(() => windows.paths.withoutDrive(path, true), { message });
    assert.throws(() => resolvePath(windows.paths, '/', path, true), { message: `removing drive letter: ${message}` });
    assert.equal(isAbsolutePath(windows.paths, path), false);
    assert.equal(linux.paths.withoutDrive(path, true), path);
  }
});

void test('paths from a folder', () => {
  const rows: readonly (readonly [parent: string, path: string, kept: string, plain: string])[] = [
    ['\\app', 'bin\\', '/app/bin/', '/app/bin'],
    ['C:\\app\\', '..\\x', '/x', '/x'],
    ['app', 'x', '/app/x', '/app/x'],
    ['', '', '/', '/'],
    ['\\app', '', '/app', '/app'],
    ['\\app', '.\\', '/app/', '/app'],
    ['\\app', 'a\\.', '/app/a/.', '/app/a'],
    ['\\app', '\\.', '/.', '/'],
    ['\\app', 'C:x', '/app/x', '/app/x'],
    ['\\app', 'C:\\x\\', '/x/', '/x'],
  ];
  for (const [parent, path, kept, plain] of rows) {
    assert.equal(resolvePath(windows.paths, parent, path, true), kept, path);
    assert.equal(resolvePath(windows.paths, parent, path, false), plain, path);
  }
  assert.equal(resolvePath(linux.paths, '/app', 'a\\b', false), '/app/a\\b');
  assert.equal(resolvePath(linux.paths, '/app', 'C:', false), '/app/C:');
  assert.equal(isAbsolutePath(windows.paths, 'C:\\x'), true);
  assert.equal(isAbsolutePath(windows.paths, 'C:x'), false);
  assert.equal(isAbsolutePath(linux.paths, 'C:\\x'), false);
});

void test('names that Windows has no file for', () => {
  const refused = [
    '/NUL',
    '/app/con',
    '/nul.txt/x',
    '/Aux ',
    '/LPT1.',
    '/com9.tar.gz',
    '/COM\u00b9',
    '/CONIN$',
    '/prn .x',
  ];
  refused.push('/a/b:stream', '/x?', '/a*', '/a<b', '/a|b', '/"a"', '/a\u0007', '/dot.', '/blank ', '/a./b', '/...');
  for (const path of refused) {
    assert.throws(() => windows.paths.checkNames(path), { message: /^invalid path ".*" for windows: / }, path);
    linux.paths.checkNames(path);
  }
  for (const path of [
    '/',
    '',
    '.',
    '/a/../b/.',
    '/console',
    '/nul1',
    '/COM',
    '/COM10',
    '/.hidden',
    '/a b/c.d',
    '/\u00fc',
    '/x.con/',
  ]) {
    windows.paths.checkNames(path);
  }
  assert.throws(() => windows.paths.checkNames('/app/NUL.txt'), {
    message: 'invalid path "/app/NUL.txt" for windows: "NUL.txt" is the name of a device',
  });
});

void test('shell, variables, search path', () => {
  assert.deepEqual(windows.shell, { command: ['cmd', '/S', '/C'], runsScripts: false });
  assert.deepEqual(linux.shell, { command: ['/bin/sh', '-c'], runsScripts: true });
  assert.equal(variableKey(windows.environment, 'Path'), variableKey(windows.environment, 'PATH'));
  assert.notEqual(variableKey(linux.environment, 'Path'), variableKey(linux.environment, 'PATH'));
  assert.equal(windows.environment.needsSearchPath, false);
  assert.equal(systemOf('darwin'), linux);
  assert.equal(systemOf(undefined), linux);
});

void test('accounts of Windows', () => {
  const rows: readonly (readonly [name: string, sid: string])[] = [
    ['ContainerAdministrator', 'S-1-5-93-2-1'],
    ['containeruser', 'S-1-5-93-2-2'],
    ['User Manager\\ContainerUser', 'S-1-5-93-2-2'],
    ['BUILTIN\\Administrators', 'S-1-5-32-544'],
    ['users', 'S-1-5-32-545'],
    ['NT AUTHORITY\\SYSTEM', 'S-1-5-18'],
    ['NT AUTHORITY\\Network Service', 'S-1-5-20'],
    ['nt service\\trustedinstaller', 'S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464'],
    ['s-1-1-0', 'S-1-1-0'],
  ];
  for (const [name, sid] of rows) {
    const { uid, gid } = windows.users.find(name) ?? { uid: -1, gid: -1 };
    assert.equal(accountOfId(uid)?.sid, sid, name);
    assert.equal(gid, uid);
    assert.equal(accountOfSid(sid)?.id, uid);
    assert.equal(linux.users.find(name), undefined);
  }
  for (const name of ['', 'root', 'DOMAIN\\ContainerUser', 'S-1-5-x', 'ContainerUser\\']) {
    assert.equal(windows.users.find(name), undefined, name);
  }
  for (const sid of ['S-1-5-21-1-2-3-1001', 's-1-5-82-1']) {
    const message = `invalid user "${sid}": only accounts that every Windows has can be given by SID`;
    assert.throws(() => windows.users.find(sid), { code: 3, message });
    assert.equal(linux.users.find(sid), undefined);
  }
  assert.equal(new Set(WINDOWS_ACCOUNTS.map((a) => a.id)).size, WINDOWS_ACCOUNTS.length);
  assert.ok(WINDOWS_ACCOUNTS.every((a) => a.id > 59_000 && a.id < 65_536));
  assert.equal(accountOfId(0), undefined);
});
