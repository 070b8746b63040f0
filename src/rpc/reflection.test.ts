import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Code } from '../base/index.ts';
import { ControlDefinition } from '../proto/control.pb.ts';
import { File } from '../proto/descriptor_names.pb.ts';
import { ServerReflectionDefinition } from '../proto/reflection.pb.ts';
import type { ServerReflectionRequest, ServerReflectionResponse } from '../proto/reflection.pb.ts';
import { addHealth, addReflection, createChannel, createServer, duplexPair } from './index.ts';

void test('reflection tells of services, and of the files that describe them', async () => {
  const server = createServer();
  server.add(ControlDefinition, { info: async () => ({ buildkitVersion: undefined }) });
  addReflection(server);
  addHealth(server);
  const [near, far] = duplexPair();
  void server.serve(far);
  const channel = createChannel(near);
  const ask = async (
    messageRequest: ServerReflectionRequest['messageRequest'],
    version = 'v1',
  ): Promise<ServerReflectionResponse['messageResponse']> => {
    const service = { ...ServerReflectionDefinition, fullName: `grpc.reflection.${version}.ServerReflection` };
    const call = channel.stream(service, ServerReflectionDefinition.methods.serverReflectionInfo);
    await call.write({ host: 'h', messageRequest });
    const response = await call.read();
    assert.equal(response?.validHost, 'h');
    assert.equal(response.originalRequest?.messageRequest?.$case, messageRequest?.$case);
    call.end();
    assert.equal(await call.read(), undefined);
    return response.messageResponse;
  };
  const filesOf = (response: ServerReflectionResponse['messageResponse']): string[] => {
    assert.ok(response?.$case === 'fileDescriptorResponse', response?.$case);
    return response.value.fileDescriptorProto.map((bytes) => File.decode(bytes).name);
  };

  const list = await ask({ $case: 'listServices', value: '' });
  assert.ok(list?.$case === 'listServicesResponse');
  const services = list.value.service.map(({ name }) => name);
  assert.deepEqual(services, [
    'grpc.health.v1.Health',
    'grpc.reflection.v1.ServerReflection',
    'grpc.reflection.v1alpha.ServerReflection',
    'moby.buildkit.v1.Control',
  ]);
  for (const value of [...services, 'moby.buildkit.v1.Control.Solve', 'pb.Op', 'pb.Mount.dest']) {
    assert.ok(filesOf(await ask({ $case: 'fileContainingSymbol', value })).length > 0, value);
  }
  const files = filesOf(await ask({ $case: 'fileContainingSymbol', value: 'moby.buildkit.v1.Control' }, 'v1alpha'));
  assert.equal(files[0], 'control.proto');
  assert.ok(files.includes('ops.proto') && files.includes('google/protobuf/timestamp.proto'), files.join(' '));
  assert.deepEqual(filesOf(await ask({ $case: 'fileByFilename', value: 'ops.proto' })), ['ops.proto']);
  for (const wrong of [
    { $case: 'fileByFilename', value: '../ops.proto' } as const,
    { $case: 'fileContainingSymbol', value: 'nosuch' } as const,
    { $case: 'fileContainingExtension', value: { containingType: 'pb.Op', extensionNumber: 1 } } as const,
  ]) {
    const response = await ask(wrong);
    assert.ok(response?.$case === 'errorResponse');
    assert.equal(response.value.errorCode, Code.NotFound);
  }
  const none = await ask(undefined);
  assert.ok(none?.$case === 'errorResponse' && none.value.errorCode === Code.InvalidArgument);
  await channel.close();
  await server.close(0);
});
