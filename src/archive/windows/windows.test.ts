import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeTarHeader, TAR_TRAILER, tarPadding, TarType } from '../index.ts';
import type { TarHeader } from '../index.ts';
import {
  checkWindowsLayer,
  describeFinding,
  encodeSecurityDescriptor,
  foldName,
  formatSddl,
  nameFault,
  parseSddl,
  parseSecurityDescriptor,
  pathFault,
  readFileRecords,
  readSid,
  writeFileRecords,
  writeSid,
} from './index.ts';
import type { LayerRulesOptions } from './index.ts';

const bytes = (text: string): string => Buffer.from(text).toString('latin1');

// As containerd's and BuildKit's daemons write them (windows.md §5): SDDL beside the binary form.
const FOLDER_SDDL =
  'O:BAG:SYD:(A;OICI;FA;;;BA)(A;OICI;FA;;;SY)(A;;FA;;;BA)(A;OICIIO;GA;;;CO)(A;OICI;0x1200a9;;;BU)(A;CI;LC;;;BU)(A;CI;DC;;;BU)';
const FOLDER_RAW =
  'AQAEgBQAAAAkAAAAAAAAADAAAAABAgAAAAAABSAAAAAgAgAAAQEAAAAAAAUSAAAAAgCoAAcAAAAAAxgA/wEfAAECAAAAAAAFIAAAACACAAAAAxQA/wEfAAEBAAAAAAAFEgAAAAAAGAD/AR8AAQIAAAAAAAUgAAAAIAIAAAALFAAAAAAQAQEAAAAAAAMAAAAAAAMYAKkAEgABAgAAAAAABSAAAAAhAgAAAAIYAAQAAAABAgAAAAAABSAAAAAhAgAAAAIYAAIAAAABAgAAAAAABSAAAAAhAgAA';
const FILE_SDDL = 'O:BAG:SYD:(A;;FA;;;BA)(A;;FA;;;SY)(A;;0x1200a9;;;BU)';
const FILE_RAW =
  'AQAEgBQAAAAkAAAAAAAAADAAAAABAgAAAAAABSAAAAAgAgAAAQEAAAAAAAUSAAAAAgBMAAMAAAAAABgA/wEfAAECAAAAAAAFIAAAACACAAAAABQA/wEfAAEBAAAAAAAFEgAAAAAAGACpABIAAQIAAAAAAAUgAAAAIQIAAA==';

void test('names that are one to Windows', () => {
  for (const [a, b] of [
    ['App', 'aPP'],
    ['Ärger/Öl', 'ärger/öl'],
    ['ÿ', 'Ÿ'],
    ['σας', 'ΣΑΣ'],
    ['Ж', 'ж'],
  ] as const)
    assert.equal(foldName(bytes(a)), foldName(bytes(b)), a);
  for (const [a, b] of [
    ['ß', 'ss'],
    ['ﬁ', 'fi'],
    ['ı', 'I'],
    ['ſ', 'S'],
    ['µ', 'Μ'],
    ['a', 'b'],
  ] as const)
    assert.notEqual(foldName(bytes(a)), foldName(bytes(b)), a);
});

void test('names that Windows has not', () => {
  const faults = {
    CON: /device/,
    'nul.txt': /device/,
    'Lpt1 .log': /device/,
    'COM¹': /device/,
    'a:b': /stream/,
    'a.': /dot or a blank/,
    'a ': /dot or a blank/,
    'a*': /character/,
    'a\\b': /character/,
    'a\u0001': /character/,
    '..': /another folder/,
    '': /empty/,
    ['x'.repeat(256)]: /longer than 255/,
  };
  for (const [name, fault] of Object.entries(faults)) assert.match(nameFault(bytes(name)) ?? '', fault, name);
  assert.match(nameFault('\xff') ?? '', /UTF-8/);
  for (const name of ['console', 'COM10', '.a', 'ü'.repeat(255), '$Recycle.Bin', 'nul'.repeat(2)].filter(
    (n) => n !== 'a.b.',
  ))
    assert.equal(nameFault(bytes(name)), undefined, name);
  const paths = {
    '/a': /absolute/,
    '\\a': /absolute/,
    'c:/a': /drive/,
    'C:a': /drive/,
    'a/../b': /another/,
    'a/nul/b': /device: "nul"/,
  };
  for (const [path, fault] of Object.entries(paths)) assert.match(pathFault(path) ?? '', fault, path);
  assert.equal(pathFault('a/b/'), undefined);
});

void test('security descriptors are read and written, as bytes and as text', () => {
  for (const [sddl, raw] of [
    [FOLDER_SDDL, FOLDER_RAW],
    [FILE_SDDL, FILE_RAW],
  ] as const) {
    assert.equal(encodeSecurityDescriptor(parseSddl(sddl)).toString('base64'), raw);
    assert.equal(formatSddl(parseSecurityDescriptor(Buffer.from(raw, 'base64'))), sddl);
  }
  for (const sddl of [
    'O:S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464G:BAD:PAI(A;;FRFX;;;BU)S:(ML;;CC;;;HI)',
    'D:(D;OICI;0x100;;;S-1-5-93-2-2)',
    'O:BA',
  ]) {
    const sd = parseSddl(sddl);
    assert.deepEqual(parseSecurityDescriptor(encodeSecurityDescriptor(sd)).owner, sd.owner);
    const again = encodeSecurityDescriptor(parseSecurityDescriptor(encodeSecurityDescriptor(sd)));
    assert.deepEqual(again, encodeSecurityDescriptor(sd));
  }
  for (const text of [
    '',
    'O:',
    'X:BA',
    'O:BA)',
    'D:(A;;FA;;;XX)',
    'D:(A;;ZZ;;;BA)',
    'D:(A;;FA;;BA)',
    'O:S-1-5-4294967296',
  ])
    assert.throws(() => parseSddl(text), { code: 3 }, text);
  assert.equal(readSid(writeSid('S-1-5-21-1-2-3'), 0), 'S-1-5-21-1-2-3');
});

void test('bytes that are no security descriptor are refused, wherever they are cut or changed', () => {
  const good = Buffer.from(FOLDER_RAW, 'base64');
  for (let length = 0; length < good.length; length++)
    assert.throws(() => parseSecurityDescriptor(good.subarray(0, length)), { code: 3 }, String(length));
  for (let at = 0; at < good.length; at++) {
    const changed = Buffer.from(good);
    changed[at] ^= 0xff;
    try {
      formatSddl(parseSecurityDescriptor(changed));
    } catch (error) {
      assert.equal((error as { code?: number }).code, 3, `${at}: ${String(error)}`);
    }
  }
});

void test('records of files', () => {
  const records = readFileRecords(
    new Map([
      ['MSWINDOWS.fileattr', '1058'],
      ['MSWINDOWS.sd', FILE_SDDL],
      ['MSWINDOWS.mountpoint', '1'],
      ['MSWINDOWS.xattr.$CI', 'AQID'],
      ['LIBARCHIVE.creationtime', '12.5'],
    ]),
  );
  assert.equal(records.attributes, 1058);
  assert.equal(Buffer.from(records.descriptor ?? []).toString('base64'), FILE_RAW);
  assert.deepEqual([records.isMountPoint, records.creationTimeNs], [true, 12_500_000_000n]);
  const pax = writeFileRecords({ ...records, creationTime: '12.5' });
  assert.equal(pax.get('MSWINDOWS.rawsd'), FILE_RAW);
  assert.deepEqual(readFileRecords(pax), records);
  for (const [key, value, message] of [
    ['MSWINDOWS.fileattr', '0x20', /decimal/],
    ['MSWINDOWS.fileattr', '4294967296', /decimal/],
    ['MSWINDOWS.fileattr', '-1', /decimal/],
    ['MSWINDOWS.fileattr', '1'.repeat(11), /too long/],
    ['MSWINDOWS.rawsd', 'AQAE', /no security descriptor/],
    ['MSWINDOWS.rawsd', '!', /base64/],
    ['MSWINDOWS.rawsd', 'A'.repeat(1 << 18), /too long/],
    ['MSWINDOWS.sd', 'nonsense', /no security descriptor/],
    ['MSWINDOWS.mountpoint', '0', /not 1/],
    ['MSWINDOWS.xattr.', 'AQID', /too long/],
    ['LIBARCHIVE.creationtime', 'now', /no time/],
  ] as const)
    assert.throws(() => readFileRecords(new Map([[key, value]])), { code: 3, message });
});

const HIVE = Buffer.concat([Buffer.from('regf'), Buffer.alloc(4092)]);
type Line = readonly [name: string, content?: Uint8Array | string, header?: Partial<TarHeader>];

function tarOf(lines: readonly Line[]): Uint8Array[] {
  const parts: Uint8Array[] = [];
  for (const [name, content, more] of lines) {
    const data = Buffer.from(content ?? '');
    const folder = content === undefined;
    const pax = new Map([['MSWINDOWS.fileattr', folder ? '16' : '32']]);
    const nothing = { uid: 0, gid: 0, linkname: '', uname: '', gname: '', devmajor: 0, devminor: 0, mtimeNs: 0n };
    const type = folder ? TarType.Dir : TarType.File;
    const header = { name: bytes(name), type, mode: 0o755, size: data.length, ...nothing, pax, format: 'pax' as const };
    parts.push(encodeTarHeader({ ...header, ...more }), data, tarPadding(data.length));
  }
  return [...parts, TAR_TRAILER];
}

const GOLDEN: readonly Line[] = [
  ['Hives'],
  ['Hives/System_Delta', HIVE],
  ['Files'],
  ['Files/Windows/', undefined],
  ['Files/Windows/a.dll', 'a'],
  ['Files/Windows/b.dll', '', { type: TarType.Link, linkname: 'Files/Windows/a.dll', pax: new Map() }],
  [
    'Files/Link',
    '',
    { type: TarType.Symlink, linkname: 'C:\\Windows', pax: new Map([['MSWINDOWS.fileattr', '1040']]) },
  ],
  ['Files/Link:Note', 'of the link', { pax: new Map() }],
  ['Files/Set up'],
  ['Files/Set up:Zone.Identifier', '[ZoneTransfer]', { pax: new Map() }],
  ['Files/Set up:Größe', '', { pax: new Map() }],
  ['UtilityVM'],
  ['UtilityVM/Files'],
];
const check = async (lines: readonly Line[], options: LayerRulesOptions = { isBase: true }) =>
  (await checkWindowsLayer(tarOf(lines), options)).map(
    (f) => `${f.rule}${f.fatal ? '' : ' (lives)'}: ${describeFinding(f)}`,
  );

void test('a layer by the rules has no findings', async () => {
  assert.deepEqual(await check(GOLDEN), []);
  assert.deepEqual(await check([...GOLDEN, ['Files/.wh.Old', '']], { isBase: false }), []);
});

void test('each broken rule is found, with the entry that breaks it', async () => {
  const findings = async (...lines: Line[]): Promise<string[]> => await check([...GOLDEN, ...lines]);
  const cases: Array<[Line[], RegExp]> = [
    [[['Files/../x', '']], /^name: "Files\/\.\.\/x" leads to another folder/],
    [[['../x', '']], /^name: /],
    [[['/etc/x', '']], /^name: .* absolute/],
    [[['C:/x', '']], /^name: .* drive/],
    [[['Files/a:b', '']], /^name: .* stream/],
    [
      [
        ['Files/n', ''],
        ['Files/o', ''],
        ['Files/n:b', ''],
      ],
      /^name: "Files\/n:b" names an alternate data stream/,
    ],
    [
      [
        ['Files/n', ''],
        ['Files/n:b', undefined],
      ],
      /^name: "Files\/n:b" names an alternate data stream/,
    ],
    [
      [
        ['Files/n', ''],
        ['Files/n:', ''],
      ],
      /^name: .* without a name/,
    ],
    [
      [
        ['Files/n', ''],
        ['Files/n:b:$DATA', ''],
      ],
      /^name: .* stream that there cannot be/,
    ],
    [
      [
        ['Files/n', ''],
        ['Files/n:../../x', ''],
      ],
      /^name: .* stream that there cannot be/,
    ],
    [
      [
        ['Files/n', ''],
        [`Files/n:${'x'.repeat(256)}`, ''],
      ],
      /^name: .* longer than 255/,
    ],
    [
      [
        ['Files/n', ''],
        ['Files/n:b', ''],
        ['Files/n:B', ''],
      ],
      /^collision: "Files\/n:B" is in the layer twice/,
    ],
    [[['Files/NUL.txt', '']], /^name: .* device/],
    [[['Files/a.', '']], /^name: .* dot/],
    [[['etc/x', '']], /^root \(lives\): "etc\/x" is not below Files, Hives, UtilityVM/],
    [[['Files/WINDOWS/', undefined]], /^collision: .* same file as "Files\/Windows"/],
    [[['Files/windows/c.dll', '']], /^collision: .* also calls "Files\/Windows"/],
    [[['Files/Windows', undefined]], /^collision: .* twice/],
    [[['Files/none/x', '']], /^parent \(lives\): /],
    [[['Files/dev', '', { type: TarType.Char }]], /^type: /],
    [[['Files/d', undefined, { pax: new Map([['MSWINDOWS.fileattr', '32']]) }]], /^attributes: .* do not say so/],
    [[['Files/f', '', { pax: new Map([['MSWINDOWS.fileattr', '16']]) }]], /^attributes: .* is no folder/],
    [[['Files/f', '', { pax: new Map([['MSWINDOWS.rawsd', 'AAAA']]) }]], /^records: .* no security descriptor/],
    [[['Files/.wh.x', '']], /^whiteout-in-base: /],
    [[['Files/.wh..wh..opq', '']], /^whiteout: .* whole folder/],
    [[['Files/.wh.', '']], /^name: .* dot/],
    [[['Files/.wh.NUL', '']], /^whiteout: .* no file can be/],
    [[['Hives/.wh.x', '']], /^whiteout: /],
    [[['Files/l', '', { type: TarType.Link, linkname: 'Hives/x' }]], /^link: /],
    [[['Files/l', '', { type: TarType.Link, linkname: '../x' }]], /^link: /],
    [[['Hives/Sam_Delta', 'MZ']], /^hive: "Hives\/Sam_Delta" is no registry hive/],
    [[['Hives/Sam_Delta', 'regf']], /^hive: /],
  ];
  for (const [lines, wanted] of cases) {
    const found = await findings(...lines);
    assert.equal(found.length, 1, `${String(wanted)}: ${found.join('\n')}`);
    assert.match(found[0] ?? '', wanted);
  }
  assert.deepEqual(await check([['Files', '']]), ['type: "Files" is no folder']);
});

void test('a layer of another system is told as a whole', async () => {
  const found = await check([['etc'], ['etc/a:b', '']]);
  assert.deepEqual(found.at(-1), 'linux-layer: the layer has no Files, Hives, UtilityVM: it is not for Windows');
  assert.ok(found.slice(0, -1).every((line) => line.startsWith('root (lives)')));
});
