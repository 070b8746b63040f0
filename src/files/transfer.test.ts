import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { contentHashHeader, fsPath } from '../archive/index.ts';
import { receiveTree, sendTree, sendTrees, walkTree } from './index.ts';
import type { PacketChannel, ReceiveOptions, SendOptions, TreeChange } from './index.ts';
import { PacketWriter, packetsOf } from './packet-codec.ts';
import { toText } from './stat-entry.ts';

const top = mkdtempSync(join(tmpdir(), 'files-transfer-'));
after(() => rmSync(top, { recursive: true, force: true }));

let count = 0;
function folder(): string {
  const dir = join(top, `d${count++}`);
  mkdirSync(dir);
  return dir;
}

/** One direction; writing waits while 4 batches lie there, as a connection would. */
class Pipe {
  readonly #batches: Uint8Array[][] = [];
  #ended = false;
  #wake: Array<() => void> = [];

  #changed(): void {
    for (const wake of this.#wake.splice(0)) wake();
  }

  async write(batch: readonly Uint8Array[]): Promise<void> {
    while (this.#batches.length >= 4) await new Promise<void>((resolve) => this.#wake.push(resolve));
    this.#batches.push([...batch]);
    this.#changed();
  }

  async read(): Promise<Uint8Array[] | undefined> {
    while (this.#batches.length === 0) {
      if (this.#ended) return undefined;
      await new Promise<void>((resolve) => this.#wake.push(resolve));
    }
    const batch = this.#batches.shift();
    this.#changed();
    return batch;
  }

  end(): void {
    this.#ended = true;
    this.#changed();
  }
}

interface End extends PacketChannel {
  end(): void;
}

function pair(): [End, End] {
  const a = new Pipe();
  const b = new Pipe();
  const end = (read: Pipe, write: Pipe): End => ({
    readBatch: () => read.read(),
    writeBatch: (packets) => write.write(packets),
    end: () => write.end(),
  });
  return [end(a, b), end(b, a)];
}

async function transfer(from: string, to: string, send: SendOptions = {}, receive: ReceiveOptions = {}) {
  const [sender, receiver] = pair();
  const sent = sendTree(from, sender, send).finally(() => sender.end());
  const received = receiveTree(to, receiver, receive).finally(() => receiver.end());
  const [s, r] = await Promise.allSettled([sent, received]);
  if (r.status === 'rejected')
    throw Object.assign(r.reason as Error, { sender: s.status === 'rejected' ? s.reason : undefined });
  if (s.status === 'rejected') throw s.reason as Error;
  return r.value;
}

/** As the content hash has it, of a file below `dir`. */
function digestOf(dir: string, name: string): string {
  const [stat] = [...walkTree(dir)].filter((entry) => entry.stat.path === name).map((entry) => entry.stat);
  const hash = createHash('sha256').update(contentHashHeader(toText(stat)));
  return `sha256:${hash.update(readFileSync(join(dir, name))).digest('hex')}`;
}

function listing(dir: string): string[] {
  return [...walkTree(dir)].map(({ stat: s }) => {
    const isDir = s.mode >= 0x80000000;
    const data = s.mode <= 0xffffff && s.linkname === '' ? readFileSync(fsPath(`${dir}/${s.path}`), 'latin1') : '';
    return `${s.path} ${s.mode.toString(8)} ${s.uid}:${s.gid} ${isDir ? '' : s.size} ${s.modTime} ${s.linkname} ${createHash('sha1').update(data).digest('hex').slice(0, 8)}`;
  });
}

function sample(): string {
  const dir = folder();
  mkdirSync(join(dir, 'a/b'), { recursive: true });
  mkdirSync(join(dir, 'empty'));
  writeFileSync(join(dir, 'a/b/large'), Buffer.alloc(3_000_001, 'x'));
  writeFileSync(join(dir, 'a/script'), '#!/bin/sh\n');
  chmodSync(join(dir, 'a/script'), 0o4755);
  writeFileSync(join(dir, 'a.txt'), 'after a/');
  writeFileSync(join(dir, 'zero'), '');
  writeFileSync(join(dir, 'grüße'), 'utf8');
  symlinkSync('../a.txt', join(dir, 'a/link'));
  linkSync(join(dir, 'a.txt'), join(dir, 'twin'));
  for (let i = 0; i < 300; i++) writeFileSync(join(dir, `empty/f${i}`), `content ${i}`);
  utimesSync(join(dir, 'empty'), 1_000_000, 1_234_567.25);
  return dir;
}

test('a tree arrives as it was, and a second time nothing moves', async () => {
  const from = sample();
  const to = folder();
  const first = await transfer(from, to);
  assert.deepEqual(listing(to), listing(from));
  assert.equal(first.files, 305);
  const inode = lstatSync(join(to, 'a.txt')).ino;
  const second = await transfer(from, to);
  assert.deepEqual(second, { files: 0, bytes: 0, changes: 0 });
  assert.equal(lstatSync(join(to, 'a.txt')).ino, inode);
});

test('the marker is there before the first change, and not made when nothing has to change', async () => {
  const from = sample();
  const to = folder();
  const marker = join(folder(), 'marker');
  await assert.rejects(transfer(from, to, {}, { marker: join(marker, 'not/there') }), /no such file|ENOENT/);
  assert.deepEqual(listing(to), [], 'no marker, no change');
  await transfer(from, to, {}, { marker });
  assert.ok(existsSync(marker));
  rmSync(marker);
  await transfer(from, to, {}, { marker });
  assert.ok(!existsSync(marker), 'nothing had to change');
  rmSync(join(from, 'zero'));
  await transfer(from, to, {}, { marker });
  assert.ok(existsSync(marker), 'something went');
});

test('what changed is transferred, what went is removed, kinds may change', async () => {
  const from = sample();
  const to = folder();
  await transfer(from, to);
  writeFileSync(join(from, 'a/script'), '#!/bin/bash\n');
  rmSync(join(from, 'a/b'), { recursive: true });
  writeFileSync(join(from, 'a/b'), 'now a file');
  rmSync(join(from, 'zero'));
  mkdirSync(join(from, 'zero'));
  writeFileSync(join(from, 'zero/in'), 'now a folder');
  rmSync(join(from, 'empty'), { recursive: true });
  const changes: TreeChange[] = [];
  const result = await transfer(from, to, {}, { onChanges: (c) => changes.push(...c) });
  assert.deepEqual(listing(to), listing(from));
  assert.equal(result.files, 3);
  assert.deepEqual(changes.map((c) => `${c.kind} ${c.path}`).sort(), [
    'add zero/in',
    'delete empty',
    'modify a/b',
    'modify a/script',
    'modify zero',
  ]);
});

test('data that is asked for and is what is there already changes nothing', async () => {
  const from = folder();
  const to = folder();
  for (const name of ['a', 'b', 'c', 'd']) writeFileSync(join(from, name), name.repeat(100_000));
  writeFileSync(join(from, 'empty'), '');
  await transfer(from, to);
  const inodes = (): number[] => ['a', 'b', 'c', 'd', 'empty'].map((name) => lstatSync(join(to, name)).ino);
  const before = inodes();
  const marker = join(folder(), 'marker');
  const changes: TreeChange[] = [];
  const options: ReceiveOptions = { differ: 'none', marker, onChanges: (c) => changes.push(...c) };
  assert.deepEqual(await transfer(from, to, {}, options), { files: 5, bytes: 400_000, changes: 0 });
  assert.deepEqual(inodes(), before);
  assert.ok(!existsSync(marker));
  // Its last byte is another one, which size and time do not tell.
  const { mtimeNs } = lstatSync(join(from, 'c'), { bigint: true });
  writeFileSync(join(from, 'c'), `${'c'.repeat(99_999)}x`);
  utimesSync(join(from, 'c'), Number(mtimeNs) / 1e9, Number(mtimeNs) / 1e9);
  utimesSync(join(to, 'c'), Number(mtimeNs) / 1e9, Number(mtimeNs) / 1e9);
  await transfer(from, to, {}, options);
  assert.deepEqual(listing(to), listing(from));
  assert.deepEqual(
    changes.map((c) => `${c.kind} ${c.path}`),
    ['modify c'],
  );
  assert.equal(changes[0].digest, digestOf(from, 'c'));
});

test('a small tree that turns out to have changed is received as any other, and nothing is asked for twice', async () => {
  const from = folder();
  const to = folder();
  for (let i = 0; i < 40; i++) writeFileSync(join(from, `f${i}`), `content ${i}`);
  await transfer(from, to);
  rmSync(join(from, 'f20'));
  writeFileSync(join(from, 'f9'), 'other');
  symlinkSync('f1', join(from, 'z'));
  for (let i = 0; i < 100; i++) writeFileSync(join(from, `g${i}`), `more ${i}`);
  const result = await transfer(from, to, {}, { differ: 'none' });
  assert.deepEqual(listing(to), listing(from));
  assert.equal(result.files, 139);
  assert.equal(result.changes, 103, 'one modified, one deleted, a link and a hundred new ones');
});

test('changes carry the digest of header and data', async () => {
  const from = sample();
  const changes: TreeChange[] = [];
  await transfer(from, folder(), {}, { onChanges: (c) => changes.push(...c) });
  for (const { stat } of walkTree(from)) {
    const text = toText(stat);
    const hash = createHash('sha256').update(contentHashHeader(text));
    if (stat.mode <= 0xffffff && stat.linkname === '') hash.update(readFileSync(join(from, text.path)));
    assert.equal(changes.find((c) => c.path === text.path)?.digest, `sha256:${hash.digest('hex')}`, text.path);
  }
});

test('patterns, followed paths, owner, time and prefix', async () => {
  const from = sample();
  symlinkSync('a/b', join(from, 'way'));
  const to = folder();
  const [sender, receiver] = pair();
  await Promise.all([
    sendTrees([{ root: from, mtimeNs: 5_000_000_123n, prefix: 'linux_amd64' }], sender, {
      followPaths: ['way/large'],
      excludePatterns: ['**/script'],
    }).finally(() => sender.end()),
    receiveTree(to, receiver, {}).finally(() => receiver.end()),
  ]);
  assert.deepEqual(
    [...walkTree(to)].map((e) => e.stat.path),
    ['linux_amd64', 'linux_amd64/a', 'linux_amd64/a/b', 'linux_amd64/a/b/large', 'linux_amd64/way'],
  );
  for (const { stat } of walkTree(to)) assert.equal(stat.modTime, 5_000_000_123n, stat.path);
  const filtered = folder();
  await transfer(from, filtered, { includePatterns: ['twin'] });
  assert.equal(readFileSync(join(filtered, 'twin'), 'utf8'), 'after a/', 'the first name of the file was left out');
});

test('merge keeps what the sender does not have', async () => {
  const from = sample();
  const to = folder();
  writeFileSync(join(to, 'mine'), 'stays');
  symlinkSync('/etc', join(to, 'a'));
  await transfer(from, to, {}, { merge: true });
  assert.equal(readFileSync(join(to, 'mine'), 'utf8'), 'stays');
  assert.equal(lstatSync(join(to, 'a')).isDirectory(), true, 'the link made way and was not followed');
  assert.equal(readFileSync(join(to, 'a/script'), 'utf8'), '#!/bin/sh\n');
});

test('stats only, with exceptions', async () => {
  const from = sample();
  const to = folder();
  await transfer(from, to, {}, { metadataOnly: { exceptions: ['a/b/large'] } });
  assert.deepEqual(
    [...walkTree(to)].map((e) => e.stat.path),
    ['.fsutil-metadata', 'a', 'a/b', 'a/b/large'],
  );
  const data = readFileSync(join(to, '.fsutil-metadata'));
  let entries = 0;
  for (let at = 0; at < data.length; at += 4 + data.readUInt32LE(at)) entries++;
  assert.equal(entries, [...walkTree(from)].length);
});

test('holes stay holes', async () => {
  const from = folder();
  writeFileSync(join(from, 'sparse'), 'head');
  truncateSync(join(from, 'sparse'), 20_000_001);
  const to = folder();
  await transfer(from, to);
  assert.deepEqual(listing(to), listing(from));
  assert.ok(lstatSync(join(to, 'sparse')).blocks < 1000);
});

test('progress counts what upstream counts: listing and data', async () => {
  const count = async (text: string): Promise<number> => {
    const from = folder();
    writeFileSync(join(from, 'a'), text);
    let counted = 0;
    await transfer(from, folder(), { onProgress: (bytes) => void (counted = bytes) });
    return counted;
  };
  // The size in its STAT, and a DATA packet of file 0: type, length, the bytes. No packet that only ends something.
  assert.ok((await count('xy')) - (await count('')) <= 2 + 2 + 2 + 2 + 2);
});

test('a file that is cut while it is sent is an error that names it', async () => {
  const from = folder();
  writeFileSync(join(from, 'big'), Buffer.alloc(40_000_000));
  let cut = false;
  const onProgress = (bytes: number): void => {
    if (bytes < 1_000_000) return;
    if (!cut) writeFileSync(join(from, 'big'), 'short');
    cut = true;
  };
  await assert.rejects(
    transfer(from, folder(), {}, { onProgress }),
    /error from sender: .*big.*changed while it was sent/,
  );
});

test('a file that becomes a folder while others are sent is an error that names it', async () => {
  const from = folder();
  writeFileSync(join(from, 'a'), Buffer.alloc(40_000_000));
  writeFileSync(join(from, 'b'), 'text');
  let replaced = false;
  const onProgress = (bytes: number): void => {
    if (bytes < 1_000_000 || replaced) return;
    replaced = true;
    rmSync(join(from, 'b'));
    mkdirSync(join(from, 'b'));
  };
  await assert.rejects(transfer(from, folder(), {}, { onProgress }), /error from sender: .*\bb\b.*changed while/);
});

test('a receiver that is aborted ends both', async () => {
  const from = sample();
  const abort = new AbortController();
  const reason = new Error('enough');
  const receive = { signal: abort.signal, onProgress: () => abort.abort(reason) };
  await assert.rejects(transfer(from, folder(), {}, receive), /enough/);
});

/** Sends packets as they are and gives what the receiver says. */
async function hostile(build: (out: PacketWriter) => void, to = folder()): Promise<string> {
  const [sender, receiver] = pair();
  const out = new PacketWriter();
  build(out);
  await sender.writeBatch(packetsOf(out.take()));
  sender.end();
  try {
    await receiveTree(to, receiver, {});
  } catch (error) {
    return (error as Error).message;
  }
  return 'accepted';
}

const DIR = 0x800001ed;
function stat(path: string, more: object = {}) {
  return {
    path,
    mode: 0o644,
    uid: 0,
    gid: 0,
    size: 0n,
    modTime: 0n,
    linkname: '',
    devmajor: 0n,
    devminor: 0n,
    xattrs: new Map(),
    ...more,
  };
}

test('a sender that breaks the rules is refused', async () => {
  const list = (...stats: ReturnType<typeof stat>[]) => hostile((out) => stats.forEach((s) => out.stat(s)));
  assert.match(await list(stat('../x')), /escape check/);
  assert.match(await list(stat('..')), /escape check/);
  assert.match(await list(stat('/x')), /absolute path/);
  assert.match(await list(stat('a//b')), /unclean path/);
  assert.match(await list(stat('a', { mode: DIR }), stat('a/../b')), /unclean path/);
  assert.match(await list(stat('b'), stat('a')), /changes out of order: "a" "b"/);
  assert.match(await list(stat('a'), stat('a/b')), /out of order/, 'a file is no folder');
  assert.match(await list(stat('a', { linkname: 'b' })), /invalid link a to unknown path: "b"/);
  assert.match(await list(stat('a', { size: -1n })), /negative size/);
  assert.match(await hostile((out) => out.data(3, Buffer.from('x'))), /invalid file request 3/);
  assert.match(await hostile((out) => (out.stat(undefined), out.stat(undefined))), /after the end/);
  assert.match(await hostile((out) => (out.stat(undefined), out.fin(), out.fin())), /after the end/);
  assert.match(await hostile((out) => out.fin()), /ended before/);
  assert.match(await hostile((out) => out.error('no')), /^error from sender: no$/);
  assert.match(await hostile((out) => out.stat(stat('a'))), /unexpected EOF/);
  const sized = (data: string) => (out: PacketWriter) => {
    out.stat(stat('name', { size: 3n }));
    out.stat(undefined);
    out.data(0, Buffer.from(data));
    out.data(0, Buffer.alloc(0));
  };
  assert.match(await hostile(sized('1234')), /name.*4 bytes were received, 3 announced/);
  const to = folder();
  assert.match(await hostile(sized('12'), to), /name.*2 bytes were received, 3 announced/);
  assert.deepEqual([...walkTree(to)], [], 'nothing half is left');
});

test('a link in the way is not followed', async () => {
  const outside = folder();
  const to = folder();
  symlinkSync(outside, join(to, 'a'));
  const result = await hostile((out) => {
    out.stat(stat('a', { mode: DIR }));
    out.stat(stat('a/b', { mode: 0x080001ff, linkname: '/target' }));
    out.stat(undefined);
    out.fin();
  }, to);
  assert.equal(result, 'accepted');
  assert.equal(readlinkSync(join(to, 'a/b')), '/target');
  assert.equal(existsSync(join(outside, 'b')), false);
});

test('a receiver that asks twice, or for nothing that there is, is refused', async () => {
  const ask = async (...ids: number[]): Promise<string> => {
    const from = folder();
    writeFileSync(join(from, 'f'), 'x');
    const [sender, receiver] = pair();
    const out = new PacketWriter();
    for (const id of ids) out.request(id);
    const sent = sendTree(from, sender, {});
    await receiver.readBatch();
    await receiver.writeBatch(packetsOf(out.take()));
    return sent.then(
      () => 'accepted',
      (error: Error) => error.message,
    );
  };
  assert.match(await ask(0, 0), /invalid file id 0/);
  assert.match(await ask(7), /invalid file id 7/);
});

test('what the peer said last counts, not how the connection broke', async () => {
  const from = sample();
  const out = new PacketWriter();
  out.error('disk full');
  let batches: Uint8Array[][] | undefined = [packetsOf(out.take())];
  const channel: PacketChannel = {
    readBatch: async () => {
      const next = batches?.shift();
      if (next === undefined) throw new Error('stream reset');
      return next;
    },
    writeBatch: async () => {
      throw new Error('broken pipe');
    },
  };
  await assert.rejects(sendTree(from, channel, {}), /^BuildError: error from receiver: disk full$/);
  batches = undefined;
  await assert.rejects(sendTree(from, channel, {}), /stream reset|broken pipe/);
});

test('special files and extended attributes', { skip: process.getuid?.() !== 0 && 'needs root' }, async () => {
  const from = folder();
  execFileSync('mkfifo', [join(from, 'fifo')]);
  execFileSync('mknod', [join(from, 'null'), 'c', '1', '3']);
  const to = folder();
  await transfer(from, to, { resetOwner: true });
  assert.deepEqual(listing(to), listing(from));
});

test('a socket arrives as an empty file', async () => {
  const from = folder();
  const server = createServer();
  await new Promise<void>((resolve) => void server.listen(join(from, 'socket'), resolve));
  try {
    const to = folder();
    await transfer(from, to);
    const stats = lstatSync(join(to, 'socket'));
    assert.ok(stats.isFile() && stats.size === 0);
  } finally {
    server.close();
  }
});
