import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BuildResult } from '../llb/index.ts';
import { defaultPlatform, formatPlatform, normalizePlatform } from '../oci/index.ts';
import type { ImmutableRef } from '../storage/index.ts';
import { checkPlatforms } from './platform-check.ts';

const ref = { id: 'ref' } as ImmutableRef;
const one: BuildResult<ImmutableRef | undefined> = { ref, metadata: new Map() };

function several(...ids: string[]): BuildResult<ImmutableRef | undefined> {
  const Platforms = ids.map((ID) => {
    const [os, architecture] = ID.replace(/\(.*?\)/, '').split('/');
    const [version, ...features] = (/\((.*)\)/.exec(ID)?.[1] ?? '').split('+');
    return { ID, Platform: { os, architecture, 'os.version': version, 'os.features': features } };
  });
  return {
    refs: new Map(ids.map((id) => [id, ref])),
    metadata: new Map([['refs.platforms', Buffer.from(JSON.stringify({ Platforms }))]]),
  };
}

const here = formatPlatform(normalizePlatform(defaultPlatform()));

void test('what fits is passed over in silence', () => {
  assert.deepEqual(checkPlatforms(undefined, one), []);
  assert.deepEqual(checkPlatforms(here, one), []);
  assert.deepEqual(checkPlatforms('linux/amd64,linux/arm64', several('linux/arm64', 'linux/amd64')), []);
  assert.deepEqual(checkPlatforms('windows/amd64', several('windows(10.0.1)/amd64')), []);
  assert.deepEqual(checkPlatforms('windows(10.0.1)/amd64', several('windows(10.0.1+win32k)/amd64')), []);
  const mixed = several('windows(10.0.1)/amd64', 'windows(10.0.2+win32k)/amd64', 'linux/amd64');
  assert.deepEqual(checkPlatforms('linux/amd64,windows/amd64,windows(10.0.1)/amd64', mixed), []);
  assert.deepEqual(checkPlatforms('linux/amd64,linux/arm64', { ref: undefined, metadata: new Map() }), []);
});

void test('what does not is said', () => {
  assert.deepEqual(checkPlatforms('linux/amd64,linux/arm64', one), [
    'Multiple platforms requested but result is not multi-platform',
  ]);
  assert.deepEqual(checkPlatforms('linux/riscv64', several('linux/s390x')), [
    'Requested platform "linux/riscv64" does not match result platform "linux/s390x"',
  ]);
  assert.deepEqual(checkPlatforms('linux/riscv64', several('linux/amd64', 'linux/arm64')), [
    'Requested platforms linux/riscv64 do not match result platforms linux/amd64,linux/arm64',
  ]);
  assert.deepEqual(checkPlatforms('windows(10.0.1)/amd64', several('windows(10.0.2)/amd64')), [
    'Requested platform "windows(10.0.1)/amd64" does not match result platform "windows(10.0.2)/amd64"',
  ]);
  assert.deepEqual(checkPlatforms('windows(+a)/amd64', several('windows(10.0.2)/amd64')), [
    'Requested platform "windows(+a)/amd64" does not match result platform "windows(10.0.2)/amd64"',
  ]);
  assert.deepEqual(checkPlatforms('linux/amd64,linux/amd64,bogus', one), [
    'Duplicate platform result requested "linux/amd64"',
    'Invalid platform result requested "bogus": "bogus": unknown operating system or architecture: invalid argument',
  ]);
});

void test('several refs need names', () => {
  assert.throws(
    () => checkPlatforms(undefined, { refs: new Map([['a', ref]]), metadata: new Map() }),
    /build result contains multiple refs without platforms mapping/,
  );
});
