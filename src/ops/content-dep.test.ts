import assert from 'node:assert/strict';
import test from 'node:test';
import { Code, notFound } from '../base/index.ts';
import type { JobContext } from '../solver/types.ts';
import type { ContentHasher } from '../storage/types.ts';
import { contentDep } from './content-dep.ts';
import { RefResult } from './ref-result.ts';

void test('a path that is not there is told with the result that should have it', async () => {
  const checksum = (): Promise<string> => Promise.reject(notFound('"/a": not found'));
  const { computeDigest } = contentDep({ checksum } as unknown as ContentHasher, [{ path: '/a' }], 'step');
  await assert.rejects(async () => computeDigest?.(new RefResult('worker', undefined), {} as JobContext), {
    code: Code.Unknown,
    message: 'failed to calculate checksum of ref worker::: "/a": not found',
  });
});
