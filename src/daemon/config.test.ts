import assert from 'node:assert/strict';
import test from 'node:test';
import { parseConfig } from './config.ts';
import { parseDiskSpace, parseDurationNs } from './units.ts';

test('an empty file gives the defaults', () => {
  const config = parseConfig('');
  assert.equal(config.root, '/var/lib/buildkit');
  assert.deepEqual(config.addresses, ['unix:///run/buildkit/buildkitd.sock']);
  assert.equal(config.oci.gc, true);
  assert.equal(config.history.maxEntries, 50);
  assert.equal(config.frontends.dockerfile, true);
  assert.equal(config.proxyNetwork, false);
});

test('keys are read with their units', () => {
  const config = parseConfig(`
    root = "/x"
    insecure-entitlements = ["network.host"]
    proxyNetwork = true
    [log]
      format = "json"
    [worker.oci]
      max-parallelism = 3
      reservedSpace = "10%"
      [worker.oci.labels]
        "a.b" = "c"
      [[worker.oci.gcpolicy]]
        keepBytes = 512000000
        keepDuration = "48h"
        filters = ["type==source.local"]
    [registry."docker.io"]
      mirrors = ["localhost:5000"]
    [dns]
      nameservers = ["1.1.1.1"]
    [frontend."dockerfile.v0"]
      enabled = false
  `);
  assert.equal(config.root, '/x');
  assert.deepEqual(config.entitlements, ['network.host']);
  assert.equal(config.proxyNetwork, true);
  assert.equal(config.logFormat, 'json');
  assert.equal(config.oci.maxParallelism, 3);
  assert.deepEqual(config.oci.reservedSpace, { percentage: 10 });
  assert.equal(config.oci.labels.get('a.b'), 'c');
  assert.deepEqual(config.oci.gcPolicy[0].reservedSpace, { bytes: 512000000 });
  assert.equal(config.oci.gcPolicy[0].keepDurationNs, 48n * 3600n * 1_000_000_000n);
  assert.deepEqual(config.registries.get('docker.io')?.mirrors, ['localhost:5000']);
  assert.deepEqual(config.dns?.nameservers, ['1.1.1.1']);
  assert.equal(config.frontends.dockerfile, false);
});

test('a wrong type names its key', () => {
  assert.throws(
    () => parseConfig('[worker.oci]\nmax-parallelism = "many"'),
    /worker\.oci\.max-parallelism must be an integer/,
  );
  assert.throws(() => parseConfig('root = ['), /failed to load config/);
  assert.throws(() => parseConfig('[log]\nformat = "xml"'), /^BuildError: unsupported log type "xml"$/);
  assert.throws(() => parseConfig('[system]\nmaxRegistryConcurrency = 0'), /must be greater than 0/);
});

test('sizes and durations', () => {
  assert.deepEqual(parseDiskSpace('512MB'), { bytes: 512 * 2 ** 20 });
  assert.deepEqual(parseDiskSpace('10GiB'), { bytes: 10 * 2 ** 30 });
  assert.throws(() => parseDiskSpace('ten'), /invalid disk space ten/);
  assert.equal(parseDurationNs('1h30m'), 5_400_000_000_000n);
  assert.equal(parseDurationNs('90'), 90_000_000_000n);
  assert.throws(() => parseDurationNs('soon'), /invalid duration soon/);
});

test('limits have a section of their own', () => {
  const defaults = parseConfig('').limits;
  assert.deepEqual(defaults, { sourceIdleMs: 300_000, registryIdleMs: 60_000, archive: {} });
  const { limits } = parseConfig(`
    [limits]
      sourceIdleTimeout = "90s"
      registryIdleTimeout = 30
      [limits.archive]
        maxEntries = 10
        maxDepth = 20
        maxTotalSize = "1GB"
        maxFileSize = 1000
        maxRatio = 50
  `);
  assert.deepEqual(limits, {
    sourceIdleMs: 90_000,
    registryIdleMs: 30_000,
    archive: { maxEntries: 10, maxDepth: 20, maxTotalBytes: 2 ** 30, maxFileBytes: 1000, maxRatio: 50 },
  });
  for (const [text, says] of [
    ['[limits]\nsourceIdleTimeout = "5ms"', /limits\.sourceIdleTimeout must be between/],
    ['[limits]\nregistryIdleTimeout = "x"', /invalid duration x/],
    ['[limits.archive]\nmaxDepth = 0', /limits\.archive\.maxDepth must be greater than 0/],
    ['[limits.archive]\nmaxTotalSize = "10%"', /limits\.archive\.maxTotalSize must be a size/],
  ] as const) {
    assert.throws(() => parseConfig(text), says);
  }
});
