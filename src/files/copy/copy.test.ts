import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { copyTree, parseModeChange, resolveWildcards, walkTree } from '../index.ts';
import type { CopyRequest } from '../index.ts';

const top = mkdtempSync(join(tmpdir(), 'files-copy-'));
after(() => rmSync(top, { recursive: true, force: true }));
let count = 0;

function folder(files: Record<string, string | null> = {}): string {
  const dir = join(top, `d${count++}`);
  mkdirSync(dir);
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(join(dir, path, content === null ? '' : '..'), { recursive: true });
    if (content !== null) writeFileSync(join(dir, path), content);
  }
  return dir;
}

function copy(
  sourceRoot: string,
  source: string,
  targetRoot: string,
  target: string,
  more: Partial<CopyRequest> = {},
): void {
  copyTree({ sourceRoot, source, targetRoot, target, ...more });
}

function paths(dir: string): string[] {
  return [...walkTree(dir)].map((e) => e.stat.path);
}

test('where a copy goes', () => {
  const from = folder({ 'd/f': 'F', g: 'G' });
  const cases: Array<[string, string, Partial<CopyRequest>, string[]]> = [
    ['/g', '/new/', {}, ['new', 'new/g']],
    ['/g', '/new', {}, ['new']],
    ['/g', '/a/b/new', {}, ['a', 'a/b', 'a/b/new']],
    ['/d', '/new', {}, ['new', 'new/f']],
    ['/d', '/new/', {}, ['new', 'new/d', 'new/d/f']],
    ['/d', '/new/', { contentsOnly: true }, ['new', 'new/f']],
    ['/d', '/new', { contentsOnly: true }, ['new', 'new/f']],
    ['/d', '/', {}, ['d', 'd/f']],
    ['/', '/x', {}, ['x', 'x/d', 'x/d/f', 'x/g']],
  ];
  for (const [source, target, more, expected] of cases) {
    const to = folder();
    copy(from, source, to, target, more);
    assert.deepEqual(paths(to), expected, `${source} ${target}`);
  }
  const there = folder({ 'there/old': 'x' });
  copy(from, '/g', there, '/there');
  assert.deepEqual(paths(there), ['there', 'there/g', 'there/old']);
  assert.throws(() => copy(from, '/none', folder(), '/x'), /lstat \/none: no such file or directory/);
});

test('attributes, links and holes are kept', () => {
  const from = folder({ 'd/exec': 'x', 'd/sub/f': 'y' });
  chmodSync(join(from, 'd/exec'), 0o4711);
  linkSync(join(from, 'd/exec'), join(from, 'd/zlink'));
  symlinkSync('/etc/passwd', join(from, 'd/sym'));
  writeFileSync(join(from, 'd/sparse'), 'head');
  truncateSync(join(from, 'd/sparse'), 50_000_000);
  writeFileSync(Buffer.concat([Buffer.from(join(from, 'd/')), Buffer.from([0xff, 0xfe])]), 'no text');
  utimesSync(join(from, 'd/sub/f'), 5.25, 6.5);
  utimesSync(join(from, 'd/sub'), 7.5, 8.25);
  const to = folder();
  copy(from, '/d', to, '/d');
  const stats = (dir: string) => [...walkTree(dir)].map((e) => ({ ...e.stat }));
  assert.deepEqual(stats(join(to, 'd')), stats(join(from, 'd')));
  assert.equal(readlinkSync(join(to, 'd/sym')), '/etc/passwd');
  assert.equal(lstatSync(join(to, 'd/exec')).ino, lstatSync(join(to, 'd/zlink')).ino);
  assert.ok(lstatSync(join(to, 'd/sparse')).blocks < 2000);
  assert.equal(readFileSync(join(to, 'd/sparse')).subarray(0, 5).toString(), 'head\0');
});

test('asked-for owner, mode and time', { skip: process.getuid?.() !== 0 && 'needs root' }, () => {
  const from = folder({ 'd/f': 'x' });
  const to = folder();
  copy(from, '/d', to, '/a/b/', { owner: { uid: 7, gid: 8 }, mode: 0o2640, timestampNs: 1_000_000_007n });
  for (const { stat } of walkTree(to)) {
    assert.deepEqual([stat.uid, stat.gid, stat.modTime], [7, 8, 1_000_000_007n], stat.path);
  }
  assert.equal(lstatSync(join(to, 'a/b/d/f')).mode & 0o7777, 0o2640);
  copy(from, '/d/f', to, '/g', { modeChange: 'u=rwx,go+x' });
  assert.equal(lstatSync(join(to, 'g')).mode & 0o777, 0o755);
});

test("existing folders: the top keeps its mode, those below take the source's", () => {
  const from = folder({ 'd/sub/f': 'x' });
  chmodSync(join(from, 'd'), 0o700);
  chmodSync(join(from, 'd/sub'), 0o700);
  const to = folder({ 'd/sub/old': 'o', 'd/keep': 'k' });
  chmodSync(join(to, 'd'), 0o751);
  copy(from, '/d', to, '/d', { contentsOnly: true });
  assert.equal(lstatSync(join(to, 'd')).mode & 0o777, 0o751);
  assert.equal(lstatSync(join(to, 'd/sub')).mode & 0o777, 0o700);
  assert.deepEqual(readdirSync(join(to, 'd/sub')), ['f', 'old']);
});

test('what is in the way', () => {
  const from = folder({ 'd/x/f': '1', 'e/x': '2' });
  const fileThere = folder({ x: 'file' });
  assert.throws(() => copy(from, '/d', fileThere, '/', { contentsOnly: true }), /cannot copy to non-directory: \/x/);
  copy(from, '/d', fileThere, '/', { contentsOnly: true, replaceExisting: true });
  assert.deepEqual(paths(fileThere), ['x', 'x/f']);
  assert.throws(
    () => copy(from, '/e', fileThere, '/', { contentsOnly: true }),
    /cannot replace to directory \/x with file/,
  );
  copy(from, '/e', fileThere, '/', { contentsOnly: true, replaceExisting: true });
  assert.deepEqual(paths(fileThere), ['x']);
});

test('nothing leaves the root', () => {
  const outside = folder({ secret: 's' });
  const from = folder({ f: 'F', 'd/in/f': 'F' });
  symlinkSync(outside, join(from, 'out'));
  const to = folder();
  symlinkSync(outside, join(to, 'way'));
  copy(from, '/f', to, '/way/f');
  assert.equal(existsSync(join(outside, 'f')), false);
  assert.equal(readFileSync(join(to, outside, 'f'), 'utf8'), 'F', 'the link leads to a place in the root');
  assert.throws(() => copy(from, '/out/secret', folder(), '/x'), /no such file/);
  symlinkSync(outside, join(to, 'in'));
  assert.throws(() => copy(from, '/d', to, '/', { contentsOnly: true }), /cannot copy to non-directory/);
  copy(from, '/f', to, '/way/../f2');
  assert.deepEqual(readdirSync(outside), ['secret']);
});

test('links at the end of the source', () => {
  const from = folder({ real: 'R' });
  symlinkSync('real', join(from, 'l'));
  const to = folder();
  copy(from, '/l', to, '/kept');
  copy(from, '/l', to, '/followed', { followLinks: true });
  assert.equal(readlinkSync(join(to, 'kept')), 'real');
  assert.equal(lstatSync(join(to, 'followed')).isFile(), true);
});

test('patterns make parents only where something is copied', () => {
  const from = folder({ 'a/b/c.go': 'x', 'a/n/t.txt': 'x', 'z.go': 'x' });
  const to = folder();
  copy(from, '/', to, '/', { contentsOnly: true, includePatterns: ['**/*.go'], excludePatterns: ['z.go'] });
  assert.deepEqual(paths(to), ['a', 'a/b', 'a/b/c.go']);
});

test('devices, fifos and sockets', { skip: process.getuid?.() !== 0 && 'needs root' }, () => {
  const from = folder();
  execFileSync('mknod', [join(from, 'dev'), 'c', '1', '3']);
  execFileSync('mkfifo', [join(from, 'fifo')]);
  const to = folder();
  copy(from, '/', to, '/', { contentsOnly: true });
  assert.equal(lstatSync(join(to, 'dev')).rdev, lstatSync(join(from, 'dev')).rdev);
  assert.equal(lstatSync(join(to, 'fifo')).isFIFO(), true);
});

test('wildcards', () => {
  const root = folder({ 'a1/x.txt': '', 'a1/y.md': '', 'a2/x.txt': '', 'b/x.txt': '', 'a1/deep/x.txt': '' });
  assert.deepEqual(resolveWildcards(root, '/a*/x.txt', false), ['/a1/x.txt', '/a2/x.txt']);
  assert.deepEqual(resolveWildcards(root, '/a*', false), ['/a1', '/a2']);
  assert.deepEqual(resolveWildcards(root, '/a1/*.txt', false), ['/a1/x.txt']);
  assert.deepEqual(resolveWildcards(root, '/*/none', false), []);
  assert.deepEqual(resolveWildcards(root, '/b/', false), ['/b']);
});

test('mode strings', () => {
  const cases: Array<[string, number, boolean, number]> = [
    ['755', 0o644, false, 0o755],
    ['0644', 0o777, false, 0o644],
    ['4755', 0, false, 0o4755],
    ['u+x', 0o644, false, 0o744],
    ['+x', 0o644, false, 0o755],
    ['a-w', 0o666, false, 0o444],
    ['go=', 0o777, false, 0o700],
    ['=rw,+X', 0o744, false, 0o777],
    ['a+X', 0o644, false, 0o644],
    ['a+X', 0o644, true, 0o755],
    ['u=rwx,go=rx', 0, false, 0o755],
    ['u=rwx,go=u-w', 0, false, 0o755],
    ['go=u', 0o640, false, 0o666],
    ['u+s', 0o755, false, 0o4755],
    ['g+s', 0o755, false, 0o2755],
    ['+t', 0o777, true, 0o1777],
    ['u-s', 0o4755, false, 0o755],
    ['g+w,o-r', 0o644, false, 0o660],
  ];
  for (const [text, mode, isDir, expected] of cases) {
    assert.equal(
      parseModeChange(text)(mode, isDir).toString(8),
      expected.toString(8),
      `${text} on ${mode.toString(8)}`,
    );
  }
  for (const bad of ['', 'x', '888', '77777', 'u', 'u+q', 'u+x,'])
    assert.throws(() => parseModeChange(bad), /invalid syntax/, bad);
});
