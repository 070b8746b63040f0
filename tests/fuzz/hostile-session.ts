/** Sessions of clients that answer nonsense: every service that a client lends, and the tunnel below them. */
import { randomUUID } from 'node:crypto';
import { createServer as createHttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { BuildError, Code } from '../../src/base/index.ts';
import { http, image, local, mkfile, ociLayout, scratch } from '../../src/llb/index.ts';
import {
  AuthDefinition,
  CredentialsResponse,
  FetchTokenResponse,
  GetTokenAuthorityResponse,
  VerifyTokenAuthorityResponse,
} from '../../src/proto/auth.pb.ts';
import { ContentDefinition, InfoResponse, ReadContentResponse } from '../../src/proto/content.pb.ts';
import { ControlDefinition, SolveRequest } from '../../src/proto/control.pb.ts';
import { FileSendDefinition, FileSyncDefinition } from '../../src/proto/filesync.pb.ts';
import { Stat } from '../../src/proto/fsutil_stat.pb.ts';
import { Packet } from '../../src/proto/fsutil_wire.pb.ts';
import type { Packet_PacketType } from '../../src/proto/fsutil_wire.pb.ts';
import type { Definition } from '../../src/proto/ops.pb.ts';
import { CheckPolicyResponse, PolicyVerifierDefinition } from '../../src/proto/policysession.pb.ts';
import { GetSecretResponse, SecretsDefinition } from '../../src/proto/secrets.pb.ts';
import { ExporterDefinition, FindExportersResponse } from '../../src/proto/session_exporter.pb.ts';
import { SSHDefinition } from '../../src/proto/ssh.pb.ts';
import { UploadDefinition } from '../../src/proto/upload.pb.ts';
import {
  addHealth,
  bytesMethod,
  bytesType,
  createServer,
  duplexFromCall,
  duplexPair,
  rawMethod,
} from '../../src/rpc/index.ts';
import type {
  Channel,
  MessageReader,
  MessageWriter,
  Server,
  ServerCall,
  ServiceDefinition,
} from '../../src/rpc/index.ts';
import type { Random } from './random.ts';

const SERVICES: readonly ServiceDefinition[] = [
  AuthDefinition,
  ContentDefinition,
  ExporterDefinition,
  FileSendDefinition,
  FileSyncDefinition,
  PolicyVerifierDefinition,
  SecretsDefinition,
  SSHDefinition,
  UploadDefinition,
];
/** A stream that never ends writes pieces of this size. */
const PIECE = 64 * 1024;

const DEVICE = 0x4000000;
const SYMLINK = 0x8000000;
const DIRECTORY = 0x80000000;

function stat(r: Random): Stat {
  return Stat.fromPartial({
    path: r.pick(['a', 'a/b', 'b', '../up', '/etc/passwd', 'a/../../x', r.text()]),
    mode: r.pick([0o644, DIRECTORY | 0o755, SYMLINK | 0o777, DEVICE | 0o600, r.below(2 ** 32)]) >>> 0,
    size: r.number(),
    modTime: r.number(),
    linkname: r.chance(0.3) ? r.pick(['/etc', '..', 'a', r.text()]) : '',
    devmajor: r.number(),
    devminor: r.number(),
    xattrs: new Map(r.some(2, () => [r.pick(['user.a', 'security.capability', r.text()]), r.bytes(20)] as const)),
  });
}

/** Of a transfer, one packet that may come at that time or not. */
function packet(r: Random): Uint8Array {
  return Packet.encode({
    type: r.pick([0, 0, 0, 1, 2, 2, 3, 4, 9]) as Packet_PacketType,
    stat: r.chance(0.7) ? stat(r) : undefined,
    ID: r.pick([0, 0, 1, 2, r.below(2 ** 32)]),
    data: r.chance(0.5) ? r.bytes(100) : new Uint8Array(),
  }).finish();
}

/** One message that answers that method, nearly right. */
function answer(r: Random, method: string): Uint8Array {
  const right: Record<string, () => Uint8Array> = {
    DiffCopy: () => packet(r),
    Pull: () => bytesType.encode({ data: r.bytes(500) }).finish(),
    ForwardAgent: () => bytesType.encode({ data: r.bytes(500) }).finish(),
    Credentials: () => CredentialsResponse.encode({ Username: r.text(), Secret: r.text() }).finish(),
    FetchToken: () =>
      FetchTokenResponse.encode({ Token: r.text(), ExpiresIn: r.number(), IssuedAt: r.number() }).finish(),
    GetTokenAuthority: () => GetTokenAuthorityResponse.encode({ PublicKey: r.bytes(40) }).finish(),
    VerifyTokenAuthority: () => VerifyTokenAuthorityResponse.encode({ Signed: r.bytes(80) }).finish(),
    GetSecret: () => GetSecretResponse.encode({ data: r.chance(0.1) ? Buffer.alloc(3 << 20) : r.bytes(50) }).finish(),
    Info: () =>
      InfoResponse.encode(InfoResponse.fromPartial({ info: { digest: r.text(), size: r.number() } })).finish(),
    Read: () => ReadContentResponse.encode({ offset: r.number(), data: r.bytes(300) }).finish(),
    CheckPolicy: () => CheckPolicyResponse.encode(CheckPolicyResponse.fromPartial({})).finish(),
    FindExporters: () => FindExportersResponse.encode(FindExportersResponse.fromPartial({})).finish(),
  };
  const made = right[method]?.() ?? new Uint8Array();
  return r.chance(0.2) ? r.mutate(made) : r.chance(0.1) ? r.bytes(300) : made;
}

/** With a code that says something: it is what the daemon answers then. */
const refusal = (r: Random): BuildError =>
  new BuildError(
    r.pick([Code.NotFound, Code.PermissionDenied, Code.Unimplemented, Code.Aborted, 99 as Code]),
    r.text(),
  );

const untilGone = (call: ServerCall): Promise<void> =>
  new Promise((resolve) =>
    call.signal.aborted ? resolve() : call.signal.addEventListener('abort', () => resolve(), { once: true }),
  );

async function unary(r: Random, name: string, call: ServerCall): Promise<Uint8Array> {
  if (r.chance(0.1)) await untilGone(call);
  if (r.chance(0.15)) throw refusal(r);
  return answer(r, name);
}

async function stream(
  r: Random,
  name: string,
  input: MessageReader<Uint8Array>,
  output: MessageWriter<Uint8Array>,
  call: ServerCall,
): Promise<void> {
  const deeds: (() => Promise<void>)[] = [
    async () => {
      for (let i = r.below(12); i > 0; i--) await output.write(answer(r, name));
    },
    // Listens as the protocol wants it, and answers something each time.
    async () => {
      for (let i = 0; i < 50 && (await input.read()) !== undefined; i++) await output.write(answer(r, name));
    },
    async () => {
      throw refusal(r);
    },
    () => untilGone(call),
    // A file that never ends.
    async () => {
      const file = Stat.fromPartial({ path: 'endless', mode: 0o644, size: 1n << 60n });
      const end = Packet.encode({ type: 0, stat: undefined, ID: 0, data: new Uint8Array() }).finish();
      const body = Packet.encode({ type: 2, stat: undefined, ID: 0, data: Buffer.alloc(PIECE) }).finish();
      await output.write(Packet.encode({ type: 0, stat: file, ID: 0, data: new Uint8Array() }).finish());
      await output.write(end);
      while (!call.signal.aborted) await output.write(body);
    },
    // Names that never end.
    async () => {
      for (let i = 0; !call.signal.aborted; i++) {
        const file = Stat.fromPartial({ path: `f${String(i).padStart(9, '0')}`, mode: 0o644 });
        await output.write(Packet.encode({ type: 0, stat: file, ID: 0, data: new Uint8Array() }).finish());
      }
    },
    async () => {
      const body = bytesType.encode({ data: Buffer.alloc(PIECE, 'a') }).finish();
      while (!call.signal.aborted) await output.write(body);
    },
  ];
  await r.pick(deeds)();
}

function allow(server: Server, service: ServiceDefinition, r: Random): void {
  const methods = Object.fromEntries(Object.entries(service.methods).map(([key, method]) => [key, rawMethod(method)]));
  const handlers = Object.fromEntries(
    Object.entries(methods).map(([key, { name, requestStream, responseStream }]) => {
      if (requestStream)
        return [
          key,
          (input: MessageReader<Uint8Array>, output: MessageWriter<Uint8Array>, call: ServerCall) =>
            stream(r, name, input, output, call),
        ];
      const none = { read: async () => undefined } as MessageReader<Uint8Array>;
      if (responseStream)
        return [
          key,
          (_: Uint8Array, output: MessageWriter<Uint8Array>, call: ServerCall) => stream(r, name, none, output, call),
        ];
      return [key, (_: Uint8Array, call: ServerCall) => unary(r, name, call)];
    }),
  );
  server.add({ fullName: service.fullName, methods }, handlers);
}

/** Carries bytes on until some moment; then it breaks off, falls silent, or carries others. */
function breakingWire(tunnel: Duplex, r: Random): Duplex {
  const [near, far] = duplexPair();
  const end = (): void => {
    near.destroy();
    far.destroy();
    tunnel.destroy();
  };
  let left = r.chance(0.5) ? Infinity : r.below(30_000);
  const how = r.below(4);
  tunnel.on('data', (bytes: Buffer) => {
    if (!far.write(bytes)) {
      tunnel.pause();
      far.once('drain', () => tunnel.resume());
    }
  });
  far.on('data', (bytes: Buffer) => {
    left -= bytes.length;
    if (left > 0) {
      if (!tunnel.write(bytes)) {
        far.pause();
        tunnel.once('drain', () => far.resume());
      }
    } else if (how === 0) {
      tunnel.write(bytes.subarray(0, Math.max(0, bytes.length + left)));
      end();
    } else if (how === 1) {
      far.pause();
    } else {
      tunnel.write(r.mutate(bytes));
    }
  });
  for (const one of [near, far, tunnel]) one.on('error', end).on('close', end);
  return near;
}

/** Something to build for which the daemon has to ask the client. */
function demand(r: Random, host: string): { definition: Definition; exporters: string[]; policy: boolean } {
  const file = scratch().file(mkfile(`/f${r.below(1000)}`, 0o644, Buffer.from('x')));
  const states = [
    () => local('context', { sharedKeyHint: r.pick(['', r.text()]) }),
    () => local('context', { includePatterns: [r.text()], excludePatterns: ['(a+)+$', r.text()] }),
    () => file.run({ args: ['/none'], secrets: [{ target: '/run/s', id: 's' }] }).root,
    () => file.run({ args: ['/none'], ssh: [{ target: '/run/ssh', id: 'default' }] }).root,
    () => ociLayout(`store@sha256:${'ab'.repeat(32)}`, {}),
    () => image(`${host}/some/thing:latest`),
    () => http(`http://buildkit-session/${randomUUID()}`),
    () => file,
  ];
  return {
    definition: r.pick(states)().marshal(),
    exporters: r.chance(0.5) ? [r.pick(['local', 'tar', 'oci', 'docker', 'image'])] : [],
    policy: r.chance(0.1),
  };
}

/** A registry that lets nobody in, so that the client is asked for credentials and tokens. */
export class LockedRegistry {
  readonly #server = createHttpServer((_, response) => {
    const realm = `Bearer realm="http://${this.host}/token",service="it",scope="repository:some/thing:pull"`;
    response.writeHead(401, { 'www-authenticate': realm }).end();
  });

  static async start(): Promise<LockedRegistry> {
    const registry = new LockedRegistry();
    await new Promise<void>((resolve) => registry.#server.listen(0, '127.0.0.1', resolve));
    return registry;
  }

  get host(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** One build of such a client. Throws what the daemon answered. */
export async function solveWithNonsense(channel: Channel, r: Random, host: string, timeoutMs: number): Promise<void> {
  const session = randomUUID();
  const server = createServer();
  addHealth(server);
  const lent = SERVICES.filter(() => r.chance(0.9));
  for (const service of lent) allow(server, service, r);
  const stop = new AbortController();
  const call = channel.stream(ControlDefinition, bytesMethod(ControlDefinition.methods.session), {
    metadata: [
      ['x-docker-expose-session-uuid', session],
      [
        'x-docker-expose-session-name',
        r.pick([
          '',
          r
            .text()
            .replaceAll(/[^\x20-\x7e]/g, '')
            .slice(0, 100),
        ]),
      ],
      ['x-docker-expose-session-sharedkey', r.pick(['', '../..', 'key'])],
      ...server.methods().map((method) => ['x-docker-expose-session-grpc-method', method] as const),
    ],
    signal: stop.signal,
  });
  const tunnel = duplexFromCall(call);
  tunnel.on('error', () => {});
  let serving: Promise<void>;
  if (r.chance(0.1)) {
    // Not a server at all, and it never ends.
    serving = (async () => {
      while (!stop.signal.aborted && !tunnel.destroyed) {
        await new Promise<void>((resolve) => void tunnel.write(r.bytes(2000), () => resolve()));
      }
    })();
    tunnel.resume();
  } else {
    serving = server.serve(breakingWire(tunnel, r));
  }
  serving.catch(() => {});
  const { definition, exporters, policy } = demand(r, host);
  try {
    await channel.unary(
      ControlDefinition,
      ControlDefinition.methods.solve,
      SolveRequest.fromPartial({
        Ref: randomUUID(),
        Session: session,
        Definition: definition,
        Exporters: exporters.map((Type) => ({ Type, Attrs: new Map([['name', 'x']]) })),
        EnableSessionExporter: r.chance(0.1),
        ...(policy ? { SourcePolicySession: session } : {}),
      }),
      { timeoutMs },
    );
  } finally {
    stop.abort();
    tunnel.destroy();
    await server.close(0);
    await serving.catch(() => {});
  }
}
