/** Server reflection: what tools such as grpcurl ask to know which methods and messages there are. */
import { gunzipSync } from 'node:zlib';
import { BuildError, Code, toBuildError } from '../base/index.ts';
import { File, FileSet } from '../proto/descriptor_names.pb.ts';
import type { Message } from '../proto/descriptor_names.pb.ts';
import { ServerReflectionDefinition } from '../proto/reflection.pb.ts';
import type { ServerReflectionRequest, ServerReflectionResponse } from '../proto/reflection.pb.ts';
import type { BidiHandler, Server } from './types.ts';

/** `v1alpha` is what tools ask for that are older than `v1`. */
const VERSIONS = ['grpc.reflection.v1.ServerReflection', 'grpc.reflection.v1alpha.ServerReflection'];

/** Told of all services of `server`, also of those that are added later. */
export function addReflection(server: Server): void {
  const handler: BidiHandler<ServerReflectionRequest, ServerReflectionResponse> = async (input, out) => {
    for (;;) {
      const request = await input.read();
      if (request === undefined) return;
      await out.write({
        validHost: request.host,
        originalRequest: request,
        messageResponse: await answer(server, request),
      });
    }
  };
  for (const fullName of VERSIONS) {
    server.add({ ...ServerReflectionDefinition, fullName }, { serverReflectionInfo: handler });
  }
}

type Answer = ServerReflectionResponse['messageResponse'];

async function answer(server: Server, { messageRequest: asked }: ServerReflectionRequest): Promise<Answer> {
  try {
    switch (asked?.$case) {
      case 'listServices': {
        const names = new Set(server.methods().map((path) => path.split('/')[1] ?? ''));
        const service = [...names].toSorted().map((name) => ({ name }));
        return { $case: 'listServicesResponse', value: { service } };
      }
      case 'fileByFilename':
        return files((await descriptions()).byName.get(asked.value), asked.value);
      case 'fileContainingSymbol': {
        const symbol = asked.value.replace('.reflection.v1alpha.', '.reflection.v1.');
        return files((await descriptions()).bySymbol.get(symbol), asked.value);
      }
      case 'allExtensionNumbersOfType':
        return {
          $case: 'allExtensionNumbersResponse',
          value: { baseTypeName: asked.value, extensionNumber: [] },
        };
      case 'fileContainingExtension':
        return files(undefined, asked.value.containingType);
      default:
        throw new BuildError(Code.InvalidArgument, 'invalid MessageRequest');
    }
  } catch (thrown) {
    const { code, message } = toBuildError(thrown);
    return { $case: 'errorResponse', value: { errorCode: code, errorMessage: message } };
  }
}

interface Described {
  readonly bytes: Uint8Array;
  readonly file: File;
}

interface Descriptions {
  readonly byName: ReadonlyMap<string, readonly Described[]>;
  readonly bySymbol: ReadonlyMap<string, readonly Described[]>;
}

function files(found: readonly Described[] | undefined, asked: string): Answer {
  if (found === undefined) throw new BuildError(Code.NotFound, `not found: ${asked}`);
  return { $case: 'fileDescriptorResponse', value: { fileDescriptorProto: found.map(({ bytes }) => bytes) } };
}

let described: Promise<Descriptions> | undefined;

/** Read when somebody asks for the first time. A file comes with those that it needs. */
function descriptions(): Promise<Descriptions> {
  described ??= import('../proto/descriptors.ts').then(({ DESCRIPTORS }) => {
    const all = FileSet.decode(gunzipSync(Buffer.from(DESCRIPTORS, 'base64'))).file.map((bytes): Described => {
      return { bytes, file: File.decode(bytes) };
    });
    const own = new Map(all.map((one) => [one.file.name, one]));
    const byName = new Map<string, readonly Described[]>();
    const bySymbol = new Map<string, readonly Described[]>();
    for (const one of all) {
      const whole = withDependencies(one, own);
      byName.set(one.file.name, whole);
      for (const symbol of symbolsOf(one.file)) bySymbol.set(symbol, whole);
    }
    return { byName, bySymbol };
  });
  return described;
}

function withDependencies(first: Described, all: ReadonlyMap<string, Described>): Described[] {
  const found = new Set([first]);
  // Those that are added on the way come by, too.
  for (const { file } of found) {
    for (const name of file.dependency) {
      const one = all.get(name);
      if (one !== undefined) found.add(one);
    }
  }
  return [...found];
}

function* symbolsOf(file: File): Generator<string> {
  const prefix = file.package === '' ? '' : `${file.package}.`;
  for (const { name } of file.enumType) yield prefix + name;
  for (const { name, method } of file.service) {
    yield prefix + name;
    for (const one of method) yield `${prefix}${name}.${one.name}`;
  }
  for (const message of file.messageType) yield* symbolsOfMessage(message, prefix);
}

function* symbolsOfMessage(message: Message, prefix: string): Generator<string> {
  const name = prefix + message.name;
  yield name;
  for (const field of message.field) yield `${name}.${field.name}`;
  for (const one of message.enumType) yield `${name}.${one.name}`;
  for (const nested of message.nestedType) yield* symbolsOfMessage(nested, `${name}.`);
}
