import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BuildError, Code, toBuildError } from '../base/index.ts';
import { copy, image, scratch } from '../llb/index.ts';
import type { SourceMap } from '../llb/index.ts';
import type { Platform } from '../oci/index.ts';
import type { Definition } from '../proto/ops.pb.ts';
import { refuseForeignSteps } from './foreign-steps.ts';

const LINUX: Platform = { os: 'linux', architecture: 'amd64' };
const WINDOWS: Platform = { os: 'windows', architecture: 'amd64', osVersion: '10.0.20348' };

function stepFor(platform: Platform | undefined): Definition {
  const map = { filename: 'Dockerfile', language: 'Dockerfile', data: Buffer.from('FROM win\nRUN dir\n') } as SourceMap;
  const ranges = [{ start: { line: 2, character: 0 }, end: { line: 2, character: 0 } }];
  const { root } = image('example.com/base', { platform: LINUX }).run({
    args: ['cmd', '/S', '/C', 'dir'],
    locations: [{ map, ranges }],
    ...(platform === undefined ? {} : { platform }),
  });
  return root.marshal({ platform: LINUX });
}

async function refusalOf(definition: Definition, platforms: readonly Platform[]): Promise<BuildError | undefined> {
  try {
    await refuseForeignSteps(definition, platforms);
    return undefined;
  } catch (error) {
    return toBuildError(error);
  }
}

void test('a step of Windows is refused by its line, with what could run it', async () => {
  const error = await refusalOf(stepFor(WINDOWS), [LINUX, { ...LINUX, architecture: '386' }]);
  assert.equal(error?.code, Code.FailedPrecondition);
  assert.equal(
    error?.message,
    'process "cmd /S /C dir" is for windows(10.0.20348)/amd64: only a Windows worker, a buildkitd on Windows, could run it, ' +
      'and this worker runs processes of linux',
  );
  const source = error?.findDetail('errdefs.Source') as { ranges: { start: { line: number } }[] };
  assert.equal(source.ranges[0].start.line, 2);
  assert.ok(await refusalOf(stepFor({ os: 'Windows', architecture: 'amd64' }), [LINUX]));
});

void test('what runs is not refused', async () => {
  assert.equal(await refusalOf(stepFor(WINDOWS), [LINUX, { os: 'windows', architecture: 'amd64' }]), undefined);
  assert.equal(await refusalOf(stepFor(LINUX), [LINUX]), undefined);
  assert.equal(await refusalOf(stepFor(undefined), [LINUX]), undefined);
  // A program of Linux may be there all the same.
  assert.equal(await refusalOf(stepFor({ os: 'darwin', architecture: 'arm64' }), [LINUX]), undefined);
  const files = scratch().file(copy(image('example.com/windows'), '/a', '/b'));
  assert.equal(await refusalOf(files.marshal({ platform: WINDOWS }), [LINUX]), undefined);
  const broken = { ...stepFor(LINUX), def: [Buffer.from('no op of windows')] };
  assert.equal(await refusalOf(broken, [LINUX]), undefined);
});
