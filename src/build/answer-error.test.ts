import assert from 'node:assert/strict';
import test from 'node:test';
import { BuildError, Code, jsonDetail, notFound } from '../base/index.ts';
import { answerError } from './answer-error.ts';

void test('clients get the codes that upstream has', () => {
  const answered = (code: Code, text = 'x'): Code => answerError(new BuildError(code, text)).code;
  for (const code of [Code.NotFound, Code.PermissionDenied, Code.FailedPrecondition, Code.Unavailable])
    assert.equal(answered(code), Code.Unknown);
  for (const code of [Code.InvalidArgument, Code.Canceled, Code.ResourceExhausted, Code.Internal, Code.Unimplemented])
    assert.equal(answered(code), code);
  assert.equal(answered(Code.NotFound, 'no access allowed to dir "context"'), Code.NotFound);
});

void test('nothing but the code changes', () => {
  const error = notFound('secret x: not found', { details: [jsonDetail('errdefs.Vertex', { digest: 'd' })] });
  const answer = answerError(error.withAttachment(7));
  assert.equal(answer.message, 'secret x: not found');
  assert.deepEqual(answer.findDetail('errdefs.Vertex'), { digest: 'd' });
  assert.equal(answer.attachment, 7);
});
