/** LLBBridge as a client in the raw sees it: containers of a build, and processes on one ExecProcess stream. */
import { Deferred } from '../../src/base/index.ts';
import type { BuildError } from '../../src/base/index.ts';
import { LLBBridgeDefinition } from '../../src/proto/gateway.pb.ts';
import type { ExecMessage, ExitMessage, InitMessage, NewContainerRequest } from '../../src/proto/gateway.pb.ts';
import { ExecMessage as ExecMessageType, NewContainerRequest as NewContainerType } from '../../src/proto/gateway.pb.ts';
import type { DeepPartial } from '../../src/proto/gateway.pb.ts';
import type { Channel, ClientStream, MethodDefinition } from '../../src/rpc/index.ts';
import { until } from './process.ts';

const { methods } = LLBBridgeDefinition;

export class Process {
  readonly id: string;
  readonly started = new Deferred();
  readonly exit = new Deferred<ExitMessage>();
  readonly done = new Deferred();
  /** By number of the stream, as text. */
  readonly output: Record<number, string> = { 1: '', 2: '' };
  /** What came, in order, without repetitions. */
  readonly events: string[] = [];
  readonly #send: (message: DeepPartial<ExecMessage>) => Promise<void>;

  constructor(id: string, send: (message: DeepPartial<ExecMessage>) => Promise<void>) {
    this.id = id;
    this.#send = send;
  }

  take({ Input: message }: ExecMessage): void {
    const event = message?.$case === 'File' && message.value.EOF ? `EOF ${message.value.Fd}` : String(message?.$case);
    if (this.events.at(-1) !== event) this.events.push(event);
    switch (message?.$case) {
      case 'Started':
        return this.started.resolve();
      case 'File':
        this.output[message.value.Fd] += Buffer.from(message.value.Data).toString('utf8');
        return;
      case 'Exit':
        return this.exit.resolve(message.value);
      case 'Done':
        return this.done.resolve();
      default:
        throw new Error(`unexpected ${event}`);
    }
  }

  fail(error: unknown): void {
    for (const end of [this.started, this.exit, this.done]) end.reject(error);
  }

  write(text: string, EOF = false): Promise<void> {
    const value = { Fd: 0, EOF, Data: Buffer.from(text) };
    return this.#send({ ProcessID: this.id, Input: { $case: 'File', value } });
  }

  resize(Rows: number, Cols: number): Promise<void> {
    return this.#send({ ProcessID: this.id, Input: { $case: 'Resize', value: { Rows, Cols } } });
  }

  signal(Name: string): Promise<void> {
    return this.#send({ ProcessID: this.id, Input: { $case: 'Signal', value: { Name } } });
  }

  async says(text: string): Promise<void> {
    await until(`process ${this.id} says ${text}`, () => this.output[1].includes(text));
  }
}

/** The calls of one build. */
export class Gateway {
  readonly #channel: Channel;
  readonly #metadata: readonly (readonly [string, string])[];
  readonly #processes = new Map<string, Process>();
  readonly #stream: ClientStream<ExecMessage, ExecMessage>;
  readonly streamEnd: Promise<BuildError | undefined>;

  constructor(channel: Channel, buildRef: string) {
    this.#channel = channel;
    this.#metadata = [['buildkit-controlapi-buildid', buildRef]];
    this.#stream = channel.stream(LLBBridgeDefinition, methods.execProcess, { metadata: this.#metadata });
    this.streamEnd = this.#read();
    this.streamEnd.catch(() => {});
  }

  call<Req, Res>(method: MethodDefinition<Req, Res>, request: Req): Promise<Res> {
    return this.#channel.unary(LLBBridgeDefinition, method, request, { metadata: this.#metadata });
  }

  async #read(): Promise<BuildError | undefined> {
    try {
      for await (const message of this.#stream) this.#processes.get(message.ProcessID)?.take(message);
      return undefined;
    } catch (error) {
      for (const process of this.#processes.values()) process.fail(error);
      return error as BuildError;
    }
  }

  send(message: DeepPartial<ExecMessage>): Promise<void> {
    return this.#stream.write(ExecMessageType.fromPartial(message));
  }

  async newContainer(request: DeepPartial<NewContainerRequest>): Promise<void> {
    await this.call(methods.newContainer, NewContainerType.fromPartial(request));
  }

  async release(ContainerID: string): Promise<void> {
    await this.call(methods.releaseContainer, { ContainerID });
  }

  /** Starts a process and waits until it runs. */
  async start(id: string, ContainerID: string, args: string[], more: DeepPartial<InitMessage> = {}): Promise<Process> {
    const process = new Process(id, (message) => this.send(message));
    this.#processes.set(id, process);
    const init = { ContainerID, Fds: [1, 2], ...more, Meta: { args, ...more.Meta } };
    await this.send({ ProcessID: id, Input: { $case: 'Init', value: init } });
    await process.started.promise;
    return process;
  }

  close(): void {
    this.#stream.cancel();
  }
}
