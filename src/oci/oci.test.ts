import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  chainId,
  defaultPlatform,
  familiarReference,
  formatPlatform,
  goJson,
  layerMediaType,
  normalizePlatform,
  normalizeReference,
  parseDigest,
  parseIndex,
  parseManifest,
  parsePlatform,
  parseReference,
  platformMatcher,
  toDockerMediaType,
} from './index.ts';
import type { Digest } from './index.ts';

const A = `sha256:${'a'.repeat(64)}` as Digest;
const B = `sha256:${'b'.repeat(64)}` as Digest;

void test('digests', () => {
  assert.equal(parseDigest(A), A);
  assert.throws(() => parseDigest('sha256:abc'), /invalid checksum digest length/);
  assert.throws(() => parseDigest('abc'), /invalid checksum digest format/);
  assert.throws(() => parseDigest(`md5:${'a'.repeat(32)}`), /unsupported digest algorithm/);
  assert.equal(chainId([]), undefined);
  assert.equal(chainId([A]), A);
  assert.equal(chainId([A, B]), 'sha256:ccd722928bd92476ba1745586fed6e45a102504185ad88cd89e01ff116fd146c');
});

void test('JSON as Go writes it', () => {
  assert.equal(goJson('<a & b>\u2028\n\u0001"\\'), '"\\u003ca \\u0026 b\\u003e\\u2028\\n\\u0001\\"\\\\"');
  assert.equal(
    goJson({
      z: 1,
      a: undefined,
      b: [true, null],
      m: new Map([
        ['b', 1n],
        ['a', 2n],
      ]),
    }),
    '{"z":1,"b":[true,null],"m":{"a":2,"b":1}}',
  );
  assert.equal(goJson(Buffer.from('hi')), '"aGk="');
});

void test('references', () => {
  assert.equal(normalizeReference('alpine'), 'docker.io/library/alpine:latest');
  assert.equal(normalizeReference('me/app:1'), 'docker.io/me/app:1');
  assert.equal(normalizeReference('localhost:5000/app'), 'localhost:5000/app:latest');
  assert.equal(normalizeReference(`alpine@${A}`), `docker.io/library/alpine@${A}`);
  assert.equal(familiarReference(parseReference('docker.io/library/alpine:3')), 'alpine:3');
  assert.throws(() => parseReference('Alpine'), /repository name \(library\/Alpine\) must be lowercase/);
  assert.throws(() => parseReference('a b'), /invalid reference format/);
  assert.throws(() => parseReference('a'.repeat(64)), /cannot specify 64-byte hexadecimal strings/);
});

void test('platforms', () => {
  assert.deepEqual(normalizePlatform({ os: 'Linux', architecture: 'aarch64', variant: 'v8' }), {
    os: 'linux',
    architecture: 'arm64',
  });
  assert.deepEqual(parsePlatform('linux/arm64/v8'), { os: 'linux', architecture: 'arm64', variant: 'v8' });
  assert.equal(formatPlatform(parsePlatform('linux/arm/v7')), 'linux/arm/v7');
  assert.equal(formatPlatform({ os: 'windows', architecture: 'amd64', osVersion: '10.0.1' }), 'windows(10.0.1)/amd64');
  assert.equal(parsePlatform('amd64').os, defaultPlatform().os);
  assert.throws(() => parsePlatform('linux/*'), /wildcards not yet supported/);
  assert.throws(() => parsePlatform('nonsense'), /unknown operating system or architecture/);
  const matcher = platformMatcher({ os: 'linux', architecture: 'arm64' });
  assert.equal(matcher.rank({ os: 'linux', architecture: 'arm64', variant: 'v8' }), 0);
  assert.ok((matcher.rank({ os: 'linux', architecture: 'arm', variant: 'v7' }) ?? 0) > 0);
  assert.equal(matcher.match({ os: 'linux', architecture: 'amd64' }), false);
  assert.equal(
    platformMatcher({ os: 'linux', architecture: 'amd64' }).match({ os: 'linux', architecture: '386' }),
    true,
  );
});

void test('manifests are not believed', () => {
  const config = { mediaType: 'x', digest: A, size: 2 };
  const bytes = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
  assert.equal(parseManifest(bytes({ schemaVersion: 2, config, layers: [config] })).layers.length, 1);
  assert.throws(() => parseManifest(bytes({ config: { ...config, size: -1 } })), /invalid size -1/);
  assert.throws(() => parseManifest(bytes({ config: { ...config, digest: 'sha256:zz' } })), /digest/);
  assert.throws(() => parseManifest(bytes({ manifests: [] })), /found an index/);
  assert.throws(() => parseManifest(bytes({ schemaVersion: 1, fsLayers: [] })), /schema 1/);
  assert.throws(() => parseManifest(bytes({ config, layers: Array.from({ length: 2000 }, () => config) })), /limit/);
  assert.throws(() => parseIndex(bytes({ config, layers: [] })), /found a manifest/);
  assert.throws(() => parseIndex(Buffer.from('[')), /failed to unmarshal index/);
});

void test('media types', () => {
  assert.equal(layerMediaType('estargz'), 'application/vnd.oci.image.layer.v1.tar+gzip');
  assert.equal(toDockerMediaType(layerMediaType('zstd')), 'application/vnd.docker.image.rootfs.diff.tar.zstd');
});
