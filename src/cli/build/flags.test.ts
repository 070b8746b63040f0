import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseAttributes, parseCsv } from '../attributes.ts';
import { parseExportCaches, parseImportCaches } from './caches.ts';
import { checkEntitlements, parseAuthTls, parseLocals, parseOpts, parseSecrets } from './inputs.ts';
import { parseSsh } from './ssh-agents.ts';
import { metadataJson } from './metadata-file.ts';
import { parseOutputs } from './outputs.ts';

const pipe = { isTTY: false, write: () => true };
const terminal = { isTTY: true, write: () => true };

void test('CSV: quotes, doubled quotes, empty fields, broken quotes', () => {
  assert.deepEqual(parseCsv('a,b,,c'), ['a', 'b', '', 'c']);
  assert.deepEqual(parseCsv('a,'), ['a', '']);
  assert.deepEqual(parseCsv('"x=1,2",y="",'.replace('y="",', 'z')), ['x=1,2', 'z']);
  assert.deepEqual(parseCsv('"say ""hi""",b'), ['say "hi"', 'b']);
  assert.throws(() => parseCsv('a"b'), /bare "/);
  assert.throws(() => parseCsv('"a'), /quoted-field/);
  assert.throws(() => parseCsv('"a"b'), /quoted-field/);
});

void test('attributes: keys in lower case, values untouched, a field without = fails', () => {
  assert.deepEqual(parseAttributes('Type=Image,"name=a,b",push=true=1'), [
    ['type', 'Image'],
    ['name', 'a,b'],
    ['push', 'true=1'],
  ]);
  assert.throws(() => parseAttributes('type=image,push'), /invalid value push/);
});

void test('outputs: types, targets and their errors', () => {
  const [image] = parseOutputs(['type=image,name=docker.io/a/b,push=true'], pipe);
  assert.equal(image.type, 'image');
  assert.deepEqual(
    [...image.attrs],
    [
      ['name', 'docker.io/a/b'],
      ['push', 'true'],
    ],
  );
  const [local, layout] = parseOutputs(['type=local,dest=out', 'type=oci,tar=false,dest=lay'], pipe);
  assert.equal(local.outputDir, 'out');
  assert.equal(local.attrs.has('dest'), false);
  assert.equal(layout.outputDir, 'lay');
  assert.equal(typeof parseOutputs(['type=tar,dest=-'], pipe)[0].output, 'function');
  const fails = (value: string, text: string, out = pipe): void =>
    assert.throws(() => parseOutputs([value], out), { message: text });
  fails('dest=x', '--output requires type=<type>');
  fails('type=image,output=x', 'output=x not supported for --output, you meant dest=x?');
  fails('type=local', 'invalid output option: output: output directory is required for local exporter');
  fails('type=tar,dest=/no/x', 'invalid output option: output: open /no/x: no such file or directory');
  fails('type=tar,dest=/tmp', 'invalid output option: output: destination file is a directory');
  fails('type=image,dest=x', 'invalid output option: output: output x is not supported by image exporter');
  fails(
    'type=oci',
    'invalid output option: output: output file is required for oci exporter. refusing to write to console',
    terminal,
  );
});

void test('a file target is emptied at once and written when the daemon sends', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'outputs-'));
  try {
    const path = join(dir, 'a.tar');
    writeFileSync(path, 'old');
    const [tar] = parseOutputs([`type=tar,dest=${path}`], pipe);
    assert.equal(readFileSync(path, 'utf8'), '');
    const out = await tar.output?.(new Map());
    await new Promise<void>((resolve) => out?.end('new', () => resolve()));
    assert.equal(readFileSync(path, 'utf8'), 'new');
  } finally {
    rmSync(dir, { recursive: true });
  }
});

void test('caches: attributes, default mode, the short form', () => {
  const [registry, short] = parseExportCaches(['type=registry,ref=a/b', 'a/c']);
  assert.deepEqual([registry.type, registry.attrs.get('mode'), registry.attrs.get('ref')], ['registry', 'min', 'a/b']);
  assert.deepEqual([short.type, short.attrs.get('ref')], ['registry', 'a/c']);
  assert.equal(parseExportCaches(['type=local,dest=x,mode=max'])[0].attrs.get('mode'), 'max');
  assert.equal(parseImportCaches(['type=local,src=x'])[0].attrs.has('mode'), false);
  assert.throws(() => parseImportCaches(['type=,ref=x']), /--import-cache requires type=<type>/);
});

void test('options: last wins, build arguments from the environment', () => {
  process.env.CLI_TEST_ARG = 'here';
  const opts = parseOpts(['a=1', 'a=2,3', 'build-arg:CLI_TEST_ARG', 'build-arg:CLI_TEST_NONE']);
  delete process.env.CLI_TEST_ARG;
  assert.equal(opts.get('a'), '2,3');
  assert.equal(opts.get('build-arg:CLI_TEST_ARG'), 'here');
  assert.equal(opts.has('build-arg:CLI_TEST_NONE'), false);
  assert.throws(() => parseOpts(['target']), /invalid value target/);
  assert.throws(() => parseOpts(['build-arg:']), /invalid value build-arg:/);
});

void test('secrets, agents, directories, entitlements, trust', () => {
  process.env.CLI_TEST_SECRET = 's';
  assert.deepEqual(parseSecrets(['id=CLI_TEST_SECRET']).get('CLI_TEST_SECRET'), { env: 'CLI_TEST_SECRET' });
  assert.deepEqual(parseSecrets(['id=a,type=env,src=CLI_TEST_SECRET']).get('a'), { env: 'CLI_TEST_SECRET' });
  delete process.env.CLI_TEST_SECRET;
  assert.throws(() => parseSecrets(['id=a,foo=b']), { message: "unexpected key 'foo' in 'foo=b'" });
  assert.throws(() => parseSecrets(['id=a,type=x']), /unsupported secret type "x"/);
  assert.throws(() => parseSsh(['a=raw=true']), /raw mode must supply exactly one socket path for "a"/);
  assert.throws(() => parseLocals(['a=/nowhere/at/all']), /no such file or directory/);
  checkEntitlements(['network.host', 'device=vendor.com/a=b,alias=c']);
  assert.throws(() => checkEntitlements(['foo']), { message: 'unknown entitlement foo' });
  const tls = parseAuthTls(['host=h,ca=a', 'host=h,ca=b,cert=c,key=k']);
  assert.deepEqual(tls.get('h'), { insecure: false, ca: ['a', 'b'], keyPairs: [{ cert: 'c', key: 'k' }] });
  assert.throws(() => parseAuthTls(['host=h,ca=a,key=k']), /requires cert=<cert>,key=<key>/);
});

void test('the metadata file nests objects and sorts keys', () => {
  const nested = Buffer.from('{"b":1,"a":"<x>"}').toString('base64');
  const text = metadataJson(
    new Map([
      ['z', 'plain'],
      ['d', nested],
      ['e', Buffer.from('{}').toString('base64')],
    ]),
  );
  assert.equal(text, '{\n  "d": {\n    "b": 1,\n    "a": "\\u003cx\\u003e"\n  },\n  "e": "e30=",\n  "z": "plain"\n}');
});
