/** Archives and contexts that are little and become much: plain use of the disk or a clear error, and always to be given up. */
import assert from 'node:assert/strict';
import { createWriteStream, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { after, before, describe, test } from 'node:test';
import { createGzip, createZstdCompress } from 'node:zlib';
import { mustRun } from '../system/process.ts';
import { cannotRun } from '../system/scratch.ts';
import { Stand } from './stand.ts';

/** Of an archive of tiny entries. */
const ENTRIES = Number(process.env.HOSTILE_ENTRIES ?? 40_000);
/** Of a file of zeros in an archive. */
const ZEROS = Number(process.env.HOSTILE_BYTES ?? 256 * 2 ** 20);
const MAX_MEMORY_MB = 500;

function header(name: string, size: number, type = '0'): Buffer {
  const block = Buffer.alloc(512);
  block.write(name, 0, 100);
  block.write('0000644\0' + '0000000\0' + '0000000\0', 100);
  // Sizes that octal digits do not hold are binary.
  if (size < 0o77777777777) block.write(`${size.toString(8).padStart(11, '0')}\0`, 124);
  else {
    block[124] = 0x80;
    block.writeBigUInt64BE(BigInt(size), 128);
  }
  block.write(`${'0'.repeat(11)}\0`, 136);
  block.write('        ', 148);
  block.write(type, 156);
  block.write('ustar\u000000', 257, 'latin1');
  let sum = 0;
  for (const byte of block) sum += byte;
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return block;
}

function* zeros(size: number): Generator<Buffer> {
  yield header('zeros', size);
  const piece = Buffer.alloc(2 ** 20);
  for (let left = size; left > 0; left -= piece.length) yield piece;
  yield Buffer.alloc(1024);
}

function* tiny(entries: number): Generator<Buffer> {
  for (let i = 0; i < entries;) {
    const many: Buffer[] = [];
    for (const to = Math.min(entries, i + 1000); i < to; i++) many.push(header(`d${i % 100}/f${i}`, 0));
    yield Buffer.concat(many);
  }
  yield Buffer.alloc(1024);
}

void describe('hostile archives', { skip: cannotRun, timeout: 280_000 }, () => {
  let stand: Stand;
  const packed = new Map<string, Buffer>();

  async function pack(name: string, parts: Iterable<Buffer>, compress: 'gzip' | 'zstd' | 'none'): Promise<void> {
    const file = join(stand.scratch.folder, name);
    const through =
      compress === 'gzip' ? [createGzip({ level: 1 })] : compress === 'zstd' ? [createZstdCompress()] : [];
    await pipeline([Readable.from(parts), ...through, createWriteStream(file)]);
    packed.set(name, readFileSync(file));
    stand.routes.set(`/${name}`, (_, response) => void response.end(packed.get(name)));
  }

  const add = (name: string): string => `FROM scratch\nADD --unpack=true ${stand.url}/${name} /\n`;
  const residentMb = async (): Promise<number> =>
    Number((await mustRun('ps', ['-o', 'rss=', '-p', String(stand.daemon.pid)])).trim()) / 1024;

  before(async () => {
    stand = await Stand.start();
  });
  after(() => stand?.end());

  for (const compression of ['gzip', 'zstd'] as const) {
    void test(`zeros in ${compression}: plain use of the disk, in little memory, while others are answered`, async () => {
      const name = `zeros.${compression}`;
      await pack(name, zeros(ZEROS), compression);
      const building = stand.daemon.spawnBuildctl(stand.context({ Dockerfile: add(name) }));
      let answers = 0;
      let most = 0;
      while (building.child.exitCode === null) {
        await stand.daemon.ask('debug', 'info');
        most = Math.max(most, await residentMb());
        answers++;
      }
      const { code, stderr } = await building.ended;
      assert.equal(code, 0, stderr);
      assert.ok(answers > 0);
      assert.ok(most < MAX_MEMORY_MB, `${most} MB`);
      await stand.nothingIsLeft();
    });
  }

  void test('many tiny entries, until the client gives up, and then to the end', async () => {
    await pack('tiny.tar', tiny(ENTRIES), 'gzip');
    const args = stand.context({ Dockerfile: add('tiny.tar') });
    const isUnpacking = (): boolean => stand.asked.includes('GET /tiny.tar');
    assert.notEqual((await stand.giveUp('the archive is asked for', isUnpacking, args)).code, 0);
    await stand.nothingIsLeft();
    const { code, stderr } = await stand.daemon.buildctl([], args);
    assert.equal(code, 0, stderr);
    await stand.nothingIsLeft();
  });

  void test('what is no archive is a file; what begins as one and is broken is an error', async () => {
    const broken: [name: string, bytes: Buffer, error: RegExp][] = [
      ['cut.gz', (packed.get('zeros.gzip') as Buffer).subarray(0, 1000), /gzip: unexpected end of file/],
      ['huge.tar', Buffer.concat([header('huge', 2 ** 50), Buffer.alloc(2048)]), /unexpected EOF|exceeds the limit/],
      [
        'deep.tar',
        Buffer.concat([header('L', 2048, 'L'), Buffer.from('a/'.repeat(1024)), header('x', 0), Buffer.alloc(1024)]),
        /folders in a name/,
      ],
    ];
    for (const [name, bytes, error] of broken) {
      stand.routes.set(`/${name}`, (_, response) => void response.end(bytes));
      const { code, stderr } = await stand.build(add(name));
      assert.notEqual(code, 0, name);
      assert.match(stderr, error, name);
    }
    await stand.nothingIsLeft();
  });

  void test('a file that ends far away is sparse, not large', async () => {
    const folder = join(stand.scratch.folder, 'sparse');
    const args = stand.context({ Dockerfile: 'FROM scratch\nADD sparse.tar /\n' });
    const context = args.find((a) => a.startsWith('context='))?.slice('context='.length) as string;
    await mustRun('truncate', ['-s', '200G', `${folder}.file`]);
    await mustRun('tar', ['-C', stand.scratch.folder, '-S', '-cf', join(context, 'sparse.tar'), 'sparse.file']);
    const { code, stderr } = await stand.daemon.buildctl([], args);
    assert.equal(code, 0, stderr);
    const used = (await stand.daemon.usage()).reduce((sum, { size }) => sum + size, 0);
    assert.ok(used < ZEROS * 8, `${used} bytes`);
  });

  void test('a .dockerignore of many costly patterns', async () => {
    const patterns = Array.from({ length: 100 }, (_, i) => `**/*a*a*a*a*a*a*a*a*${i}*b`).join('\n');
    const files = Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`${'a'.repeat(100)}${i}`, '']));
    const args = stand.context({ ...files, '.dockerignore': patterns, Dockerfile: 'FROM scratch\nCOPY . /\n' });
    const building = stand.daemon.spawnBuildctl(args);
    while (building.child.exitCode === null) await stand.daemon.ask('debug', 'info');
    const { code, stderr } = await building.ended;
    assert.equal(code, 0, stderr);
    await stand.nothingIsLeft();
  });

  void test('it stops and leaves nothing behind', () => {
    // Node waits for whoever looks inside.
    stand.inspector.close();
    return stand.daemon.stopWithoutLeaks();
  });
});
