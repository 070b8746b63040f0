import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { parseDeviceFile } from './device-file.ts';
import { DeviceRegistry } from './index.ts';

void test('files are checked', async () => {
  const file = (rest: string, kind = 'vendor.com/class'): string => `cdiVersion: "0.6.0"\nkind: ${kind}\n${rest}`;
  const devices = 'devices:\n- name: a\n';
  const edits = (text: string): string => `${devices}  containerEdits:\n    ${text}\n`;
  const cases: [string, RegExp][] = [
    ['kind: a/b', /missing cdiVersion/],
    [file(devices, 'nothing'), /invalid kind "nothing"/],
    [file(''), /no devices/],
    [file('devices: [{name: "../x"}]'), /invalid device name/],
    [file('devices: [{name: a}, {name: a}]'), /defined twice/],
    [file(edits('env: [novalue]')), /invalid environment variable/],
    [file(edits('deviceNodes: [{path: dev/x}]')), /not absolute/],
    [file(edits('deviceNodes: [{path: /dev/x, type: q}]')), /invalid type/],
    [file(edits('deviceNodes: [{path: /dev/x, major: many}]')), /major is no number/],
    [file(edits('mounts: [{hostPath: /a, containerPath: b}]')), /no absolute container path/],
    [file(edits('hooks: [{hookName: whenever, path: /x}]')), /invalid hook name/],
    [file('devices: text'), /devices is no list/],
  ];
  for (const [text, error] of cases) await assert.rejects(parseDeviceFile(text, 'yaml'), error, text);
  await assert.rejects(parseDeviceFile('a: [1, 2', 'yaml'), { name: 'YAMLParseError' });
  const json = {
    cdiVersion: '0.5.0',
    kind: 'v.com/c',
    devices: [{ name: 'n', containerEdits: { additionalGids: [5] } }],
  };
  assert.deepEqual((await parseDeviceFile(JSON.stringify(json), 'json')).devices[0].edits.additionalGids, [5]);
});

async function registryOf(
  t: TestContext,
  folders: Record<string, string>[],
  allowed: string[] = [],
): Promise<DeviceRegistry> {
  const top = mkdtempSync(join(tmpdir(), 'devices-'));
  t.after(() => rmSync(top, { recursive: true, force: true }));
  const paths = folders.map((files, i) => {
    const folder = join(top, String(i));
    mkdirSync(folder);
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
    return folder;
  });
  const registry = new DeviceRegistry([...paths, join(top, 'missing')], allowed);
  await registry.refresh();
  return registry;
}

const FILE = `
cdiVersion: "0.6.0"
kind: "vendor1.com/device"
containerEdits:
  env: [ALL=1]
devices:
- name: foo
  containerEdits:
    env:
    - FOO=1
- name: bar
  annotations:
    org.mobyproject.buildkit.device.class: fast
    org.mobyproject.buildkit.device.autoallow: true
  containerEdits:
    env:
    - BAR=1
`;

void test('devices are found by name, by kind, all of a kind, by class', async (t) => {
  const registry = await registryOf(t, [{ 'a.yaml': FILE, 'broken.yaml': 'kind: [', 'ignored.txt': FILE }]);
  const find = (name: string, optional = false): string[] => registry.find([{ name, optional }]);
  const [bar, foo] = ['vendor1.com/device=bar', 'vendor1.com/device=foo'];
  assert.deepEqual(
    registry.list().map((d) => [d.name, d.autoAllow]),
    [
      [bar, true],
      [foo, false],
    ],
  );
  assert.deepEqual(find(foo), [foo]);
  assert.deepEqual(find('vendor1.com/device'), [bar]);
  assert.deepEqual(find('vendor1.com/device=*'), [bar, foo]);
  assert.deepEqual(find('fast'), [bar]);
  assert.deepEqual(find('vendor2.com/device=x', true), []);
  assert.throws(() => find('vendor2.com/device=x'), /required device "vendor2.com\/device=x" is not registered/);
  assert.deepEqual(registry.editsOf([foo, bar]).env, ['ALL=1', 'FOO=1', 'BAR=1']);
  assert.throws(() => registry.editsOf(['gone']), /unresolvable CDI devices gone/);
});

void test('a later folder counts more; who describes a device twice has none', async (t) => {
  const other = FILE.replace('FOO=1', 'FOO=2');
  const registry = await registryOf(t, [{ 'a.yaml': FILE }, { 'b.yaml': other }], ['vendor1.com/device']);
  assert.deepEqual(registry.editsOf(['vendor1.com/device=foo']).env, ['ALL=1', 'FOO=2']);
  assert.ok(registry.get('vendor1.com/device=foo')?.autoAllow);
  assert.deepEqual((await registryOf(t, [{ 'a.yaml': FILE, 'b.yaml': other }])).list(), []);
});
