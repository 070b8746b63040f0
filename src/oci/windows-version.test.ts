import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkOsVersion, formatPlatform, normalizePlatform, parsePlatform, platformMatcher } from './index.ts';
import { runsWindowsVersion } from './windows-version.ts';

void test('which images of Windows run where', () => {
  const rows: readonly (readonly [host: string | undefined, image: string | undefined, runs: boolean])[] = [
    // Before Windows Server 2022 builds must be the same.
    ['10.0.17763.1', '10.0.17763.6000', true],
    ['10.0.17763', '10.0.17134', false],
    ['10.0.19041', '10.0.17763', false],
    // Since then a release runs those from the long-term one before it on.
    ['10.0.20348.2227', '10.0.20348.1', true],
    ['10.0.20348', '10.0.17763', false],
    ['10.0.20348', '10.0.25398', false],
    ['10.0.22621', '10.0.20348', true],
    ['10.0.25398', '10.0.20348', true],
    ['10.0.25398', '10.0.25398', true],
    ['10.0.26100', '10.0.20348', true],
    ['10.0.26100', '10.0.25398', true],
    ['10.0.26100', '10.0.26100.1742', true],
    ['10.0.26100', '10.0.17763', false],
    ['10.0.27000', '10.0.26100', true],
    ['10.0.27000', '10.0.20348', false],
    ['10.1.26100', '10.0.26100', false],
    ['1.2.3', '1.1.0', false],
    // Who says nothing runs with everything.
    ['', '10.0.17763', true],
    [undefined, '10.0.17763', true],
    ['10.0', '10.0.17763', true],
    ['10.0.20348', '', true],
    ['10.0.20348', undefined, true],
    ['10.0.20348', 'latest', false],
    ['10.0.20348', '10.0.99999', false],
  ];
  for (const [host, image, runs] of rows) assert.equal(runsWindowsVersion(host, image), runs, `${host} ${image}`);
});

const chosen = (wanted: string, ...index: string[]): string | undefined => {
  const { rank } = platformMatcher(parsePlatform(wanted));
  const ranked = index
    .map((text) => ({ text, rank: rank(parsePlatform(text)) }))
    .filter((r): r is { text: string; rank: number } => r.rank !== undefined);
  return ranked.toSorted((a, b) => a.rank - b.rank)[0]?.text;
};

void test('the manifest of an index that a platform gets', () => {
  const many = [
    'windows(10.0.20348.1)/amd64',
    'windows(10.0.26100.1)/amd64',
    'windows(10.0.17763.1)/amd64',
    'linux/amd64',
  ];
  const rows: readonly (readonly [wanted: string, index: readonly string[], got: string | undefined])[] = [
    ['windows/amd64', many, many[0]],
    ['windows(10.0.17763.9)/amd64', many, many[2]],
    ['windows(10.0.20348)/amd64', many, many[0]],
    // Both run: the nearer one, whatever the order.
    ['windows(10.0.26100)/amd64', many, many[1]],
    ['windows(10.0.26100)/amd64', many.toReversed(), many[1]],
    ['windows(10.0.25398)/amd64', many, many[0]],
    ['windows(10.0.19041)/amd64', many, undefined],
    ['windows(10.0.26100)/arm64', many, undefined],
    ['linux/amd64', many, 'linux/amd64'],
    ['linux/amd64', many.slice(0, 3), undefined],
    ['windows/amd64', ['linux/amd64'], undefined],
    ['windows(10.0.26100)/amd64', ['windows/amd64', 'windows(10.0.20348)/amd64'], 'windows(10.0.20348)/amd64'],
    // win32k is not asked for, but wins.
    ['windows/amd64', ['windows(10.0.1)/amd64', 'windows(10.0.1+win32k)/amd64'], 'windows(10.0.1+win32k)/amd64'],
    ['windows/amd64', ['windows(10.0.1+other)/amd64'], undefined],
    ['windows(10.0.1+other)/amd64', ['windows(10.0.1+other+win32k)/amd64'], 'windows(10.0.1+other+win32k)/amd64'],
    ['linux/amd64', ['linux(+win32k)/amd64'], undefined],
  ];
  for (const [wanted, index, got] of rows)
    assert.equal(chosen(wanted, ...index), got, `${wanted} of ${index.join(' ')}`);
});

void test('platforms of Windows as texts', () => {
  const rows = [
    ['windows(10.0.20348.2227)/amd64', 'windows(10.0.20348.2227)/amd64'],
    ['Windows(10.0.20348+win32k+a)/x86_64', 'windows(10.0.20348+a+win32k)/amd64'],
    ['windows(+win32k)/arm64', 'windows(+win32k)/arm64'],
    ['windows()/amd64', 'windows/amd64'],
    ['windows(a%2Fb)/amd64', 'windows(a%2Fb)/amd64'],
  ];
  for (const [text, formatted] of rows) assert.equal(formatPlatform(normalizePlatform(parsePlatform(text))), formatted);
  for (const text of ['windows(10.0/amd64', 'windows10.0)/amd64', 'windows(10 0)/amd64', 'windows(1)(2)/amd64']) {
    assert.throws(() => parsePlatform(text), /is an invalid (?:OS )?component of/, text);
  }
});

void test('versions of Windows that are none', () => {
  for (const version of [
    'abc',
    '10',
    '10.0',
    '10.0.',
    '10.0.x',
    '10.0.20348.',
    '10.0.20348.1.2',
    '10.0.70000',
    '300.0.1',
    '0.0.0',
  ]) {
    const platform = parsePlatform(`windows(${version})/amd64`);
    assert.throws(() => checkOsVersion(platform), {
      message: `"${version}" is no version of windows: it must be major.minor.build[.revision], at most 255.255.65535`,
    });
  }
  for (const text of [
    'windows/amd64',
    'windows(10.0.20348)/amd64',
    'windows(10.0.20348.2227+win32k)/amd64',
    'linux(x)/amd64',
  ]) {
    checkOsVersion(parsePlatform(text));
  }
});
