import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Device, DeviceRegistry } from '../executor/index.ts';
import { grantDevices, parseDeviceGrants } from './device-grants.ts';

const [FREE, KEPT, OTHER] = ['v.com/a=free', 'v.com/a=kept', 'v.com/b=other'];
const registry = {
  get: (name: string) => ({ name, autoAllow: name === FREE, annotations: new Map() }) as Device,
  find: (asked: readonly { name: string; optional: boolean }[]) =>
    asked.flatMap(({ name, optional }) => {
      const all = [FREE, KEPT, OTHER];
      const found = name === 'v.com/a' ? [FREE, KEPT] : all.filter((n) => n === name);
      if (found.length === 0 && !optional) throw new Error(`required device "${name}" is not registered`);
      return found;
    }),
} as unknown as DeviceRegistry;

function grant(asked: string[], ...entitlements: string[]): string[] {
  const devices = asked.map((name) => ({ name, optional: false }));
  return grantDevices(devices, parseDeviceGrants(entitlements), registry).map((d) => d.name);
}

void test('a device needs its own permission, or that of the client', () => {
  assert.deepEqual(grant([]), []);
  assert.deepEqual(grant([FREE]), [FREE]);
  assert.throws(() => grant([KEPT]), { code: 7, message: `device ${KEPT} is requested by the build but not allowed` });
  assert.throws(
    () => grant([KEPT, OTHER]),
    /^\w*Error: devices .*=kept, .*=other are requested by the build but not allowed$/,
  );
  assert.deepEqual(grant([KEPT], `device=${KEPT}`), [KEPT]);
  assert.deepEqual(grant([KEPT], 'device=v.com/a'), [KEPT]);
  assert.deepEqual(grant([KEPT, OTHER], 'device'), [KEPT, OTHER]);
  assert.deepEqual(grant(['mine'], `device=${OTHER},alias=mine`), [OTHER]);
  assert.throws(() => grant(['missing']), /required device "missing" is not registered/);
});

void test('without devices none can be had', () => {
  assert.deepEqual(grantDevices([{ name: FREE, optional: true }], undefined, undefined), []);
  assert.throws(
    () => grantDevices([{ name: FREE, optional: false }], undefined, undefined),
    /no devices are configured/,
  );
});

void test('grants that make no sense', () => {
  assert.equal(parseDeviceGrants(['network.host']), undefined);
  assert.throws(() => parseDeviceGrants(['device=a,b']), /invalid device config "b"/);
  assert.throws(() => parseDeviceGrants(['device=a,b=c']), /unknown device config key "b"/);
});
