/**
 * Layers of Windows, made and applied again: apply(diff(a, b)) on a is b, for random trees with names of Windows; and layers that
 * were changed at random are applied or refused, but never anything else.
 */
import assert from 'node:assert/strict';
import {
  existsSync,
  lchownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import {
  checkWindowsLayer,
  decodeKeptRecords,
  encodeKeptRecords,
  encodeSecurityDescriptor,
  foldName,
  formatSddl,
  KEPT_RECORDS,
  NOTHING_KEPT,
  parseSddl,
  parseSecurityDescriptor,
} from '../../src/archive/windows/index.ts';
import { BuildError } from '../../src/base/index.ts';
import { getXattr, listXattrs, setXattr } from '../../src/host/index.ts';
import { applyLayer } from '../../src/storage/apply/index.ts';
import { writeLayer } from '../../src/storage/diff/index.ts';
import { LayerTree } from '../../src/storage/tree/index.ts';
import { Random } from './random.ts';

const asRoot = { skip: process.getuid?.() === 0 ? false : 'needs root' };
const ROUNDS = 20;
const MUTATIONS = 300;

const NAMES = [
  'App',
  'app',
  'APP',
  'Ärger',
  'ärger',
  'Program Files',
  'a.dll',
  'A.DLL',
  'x',
  'Наука',
  'наука',
  '.wh',
  'data.bin',
];
const OWNERS = [0, 0, 0, 59_322, 59_321];
const DESCRIPTORS = [
  'O:S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464G:SYD:PAI(A;OICI;FA;;;SY)(A;;FR;;;BU)',
  'O:S-1-5-93-2-2G:SYD:(A;;FA;;;BA)',
  'O:BA',
].map((sddl) => encodeSecurityDescriptor(parseSddl(sddl)));

const text = (name: string): string => Buffer.from(name, 'utf8').toString('latin1');
const SECONDS = 1_600_000_000;

/** Fills a folder at random, no two names of which are one to Windows. */
function fill(r: Random, dir: string, depth: number): void {
  const taken = new Set(readdirSync(dir).map((name) => foldName(text(name))));
  for (let i = r.below(5); i >= 0; i--) {
    const name = r.pick(NAMES);
    if (taken.has(foldName(text(name)))) continue;
    taken.add(foldName(text(name)));
    make(r, join(dir, name), depth);
  }
  settle(r, dir);
}

function make(r: Random, path: string, depth: number): void {
  const kind = r.below(10);
  if (kind < 4 && depth > 0) {
    mkdirSync(path, { mode: 0o755 });
    fill(r, path, depth - 1);
  } else if (kind < 5) symlinkSync(r.pick(['x', '../App', '/Program Files/x', '..']), path);
  else writeFileSync(path, 'x'.repeat(r.below(2000)) + String(r.below(1000)), { mode: 0o644 });
  if (r.chance(0.2)) lchownSync(path, r.pick(OWNERS), 0);
  else if (r.chance(0.4)) {
    const isLink = lstatSync(path).isSymbolicLink();
    const kept = encodeKeptRecords({
      ...NOTHING_KEPT,
      attributes: isLink
        ? r.pick([0x410, 0x420])
        : lstatSync(path).isDirectory()
          ? r.pick([0x12, 0x16])
          : r.pick([0x21, 0x26]),
      descriptor: r.pick([undefined, ...DESCRIPTORS]),
      extendedAttributes: r.chance(0.2) ? new Map([['$CI', Buffer.from('catalog')]]) : new Map(),
      streams: r.chance(0.3) ? streams(r) : new Map(),
    });
    setXattr(path, KEPT_RECORDS[0], kept ?? Buffer.alloc(0));
  }
  settle(r, path);
}

function streams(r: Random): Map<string, Buffer> {
  const names = ['Zone.Identifier', text('Größe'), 'empty'].slice(r.below(3));
  return new Map(names.map((name) => [name, Buffer.from(name === 'empty' ? '' : 'x'.repeat(r.below(600)))]));
}

function settle(r: Random, path: string): void {
  if (!lstatSync(path).isSymbolicLink()) utimesSync(path, SECONDS, SECONDS + r.below(100_000));
}

/** Deletes, replaces, renames by case and adds. */
function change(r: Random, dir: string, depth: number): void {
  for (const name of readdirSync(dir)) {
    const path = join(dir, name);
    const what = r.below(10);
    if (what < 2) rmSync(path, { recursive: true });
    else if (what < 4) {
      rmSync(path, { recursive: true });
      make(r, join(dir, r.pick(NAMES.filter((n) => foldName(text(n)) === foldName(text(name))))), depth);
    } else if (what < 7 && lstatSync(path).isDirectory()) change(r, path, depth - 1);
  }
  if (r.chance(0.5)) fill(r, dir, depth);
  const files = readdirSync(dir).filter((name) => lstatSync(join(dir, name)).isFile());
  const free = NAMES.filter((n) => !readdirSync(dir).some((name) => foldName(text(name)) === foldName(text(n))));
  if (files.length > 0 && free.length > 0 && r.chance(0.3)) linkSync(join(dir, r.pick(files)), join(dir, r.pick(free)));
}

/** What Windows would see: names without case, what they are, who owns them, what is said of them. */
function seen(dirs: readonly string[]): string[] {
  const tree = new LayerTree(dirs, dirs.length > 1);
  const lines: string[] = [];
  const visit = (path: string): void => {
    const entry = tree.lookup(path);
    if (entry === undefined) return;
    const { stat, real } = entry;
    const at = Buffer.from(real, 'latin1');
    const value = listXattrs(at).includes(KEPT_RECORDS[0]) ? getXattr(at, KEPT_RECORDS[0]) : undefined;
    const kept = value === undefined ? NOTHING_KEPT : decodeKeptRecords(value);
    const sd = kept.descriptor === undefined ? '' : formatSddl(parseSecurityDescriptor(kept.descriptor));
    const extended = [...kept.extendedAttributes.keys()].join();
    const beside = [...kept.streams].map(([name, bytes]) => `${name} ${bytes.length}`).join();
    const said = `${stat.uid} ${kept.attributes ?? ''} ${sd} ${extended} ${beside}`;
    const isLink = stat.isSymbolicLink();
    if (path !== '')
      lines.push(
        `${foldName(path)} ${
          entry.folder !== undefined
            ? 'folder'
            : isLink
              ? `link ${readlinkSync(at, 'utf8')}`
              : `file ${readFileSync(at, 'utf8')} ${stat.mtimeNs}`
        } ${isLink ? '' : said}`,
      );
    if (entry.folder !== undefined)
      for (const name of tree.names(entry.folder)) visit(path === '' ? name : `${path}/${name}`);
  };
  visit('');
  return lines.sort();
}

function workDir(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'windows-layers-'));
  t.after(() => rmSync(dir, { recursive: true }));
  return dir;
}

const plain = { type: 'uncompressed' } as const;

void test('apply(diff(a, b)) on a is b', { ...asRoot, timeout: 200_000 }, async (t) => {
  const top = workDir(t);
  for (let seed = 1; seed <= ROUNDS; seed++) {
    const r = new Random(seed);
    const dir = join(top, String(seed));
    const [a, b, applied, upper] = ['a', 'b', 'applied', 'upper'].map((name) => join(dir, name)) as [
      string,
      string,
      string,
      string,
    ];
    mkdirSync(a, { recursive: true });
    fill(r, a, 3);
    // cp keeps attributes that node's own copies do not.
    const base = join(dir, 'base.tar');
    await writeLayer({ lower: [], upper: [a], compression: plain, path: base, system: 'windows' });
    for (const copy of [b, applied]) {
      mkdirSync(copy);
      await applyLayer({ source: base, target: copy, style: 'plain', isBase: true });
    }
    assert.deepEqual(seen([b]), seen([a]), `seed ${seed}: the whole tree`);
    change(r, b, 3);

    const layer = join(dir, 'layer.tar');
    const written = await writeLayer({ lower: [a], upper: [b], compression: plain, path: layer, system: 'windows' });
    const again = await writeLayer({
      lower: [a],
      upper: [b],
      compression: plain,
      path: `${layer}.again`,
      system: 'windows',
    });
    assert.equal(again.digest, written.digest, `seed ${seed}: the same bytes`);
    assert.deepEqual(await checkWindowsLayer([readFileSync(layer)], { isBase: false }), [], `seed ${seed}: the rules`);
    await applyLayer({ source: layer, target: applied, style: 'plain', system: 'windows' });
    assert.deepEqual(seen([applied]), seen([b]), `seed ${seed}: plain`);
    mkdirSync(upper);
    await applyLayer({ source: layer, target: upper, style: 'overlay', parents: [a], system: 'windows' });
    assert.deepEqual(seen([upper, a]), seen([b]), `seed ${seed}: overlay`);

    // The differ that only reads an overlay's own directory says the same.
    const third = join(dir, 'third.tar');
    await writeLayer({ lower: [a], upper: [upper, a], compression: plain, path: third, system: 'windows' });
    const last = join(dir, 'last');
    mkdirSync(last);
    await applyLayer({ source: base, target: last, style: 'plain', isBase: true });
    await applyLayer({ source: third, target: last, style: 'plain', system: 'windows' });
    assert.deepEqual(seen([last]), seen([b]), `seed ${seed}: from the overlay`);
    rmSync(dir, { recursive: true });
  }
});

void test('a layer that was changed is applied or refused', { ...asRoot, timeout: 200_000 }, async (t) => {
  const dir = workDir(t);
  const r = new Random(7);
  const a = join(dir, 'a');
  mkdirSync(a);
  fill(r, a, 3);
  const base = join(dir, 'base.tar');
  await writeLayer({ lower: [], upper: [a], compression: plain, path: base, system: 'windows' });
  const bytes = readFileSync(base);
  let refused = 0;
  for (let i = 0; i < MUTATIONS; i++) {
    const changed = Buffer.from(bytes);
    for (let n = r.below(4); n >= 0; n--) changed[r.below(changed.length)] = r.below(256);
    // Headers without a right sum are refused before anything is looked at: most get one.
    if (r.chance(0.8)) seal(changed);
    const source = join(dir, 'changed.tar');
    const target = join(dir, 'target');
    writeFileSync(source, changed);
    mkdirSync(target);
    try {
      await applyLayer({
        source,
        target,
        style: 'plain',
        isBase: true,
        system: r.pick(['windows', undefined, 'linux']),
      });
    } catch (error) {
      refused++;
      const code = error instanceof BuildError ? error.code : undefined;
      // InvalidArgument, ResourceExhausted; Unknown is what the file system says of names and links.
      assert.ok([2, 3, 8].includes(code ?? -1), `mutation ${i}: ${String(error)}`);
    }
    assert.deepEqual(
      readdirSync(dir).sort(),
      ['a', 'base.tar', 'changed.tar', 'target'],
      `mutation ${i} left something outside`,
    );
    rmSync(target, { recursive: true });
  }
  assert.ok(refused > MUTATIONS / 4, `${refused} of ${MUTATIONS} refused`);
  assert.ok(existsSync(base));
});

/** Gives every block that may be a header the checksum of its bytes. */
function seal(tar: Buffer): void {
  for (let at = 0; at + 512 <= tar.length; at += 512) {
    if (tar.toString('latin1', at + 257, at + 262) !== 'ustar') continue;
    let sum = 0;
    for (let i = 0; i < 512; i++) sum += i >= 148 && i < 156 ? 0x20 : (tar[at + i] as number);
    tar.write(`${sum.toString(8).padStart(6, '0')}\0 `, at + 148, 'latin1');
  }
}
