/** ExecProcess: processes of a build's containers, any number of them on one stream, told apart by an id of the client's. */
import {
  BuildError,
  canceled,
  Code,
  Deferred,
  invalidArgument,
  logger,
  notFound,
  toBuildError,
} from '../../base/index.ts';
import type { ExecMessage, ExitMessage, InitMessage } from '../../proto/gateway.pb.ts';
import { encodeStatus } from '../../rpc/index.ts';
import type { MessageReader, MessageWriter } from '../../rpc/index.ts';
import type { GatewayContainer } from './container.ts';
import { ProcessLink } from './process-link.ts';
import { signalNumber } from './signal-names.ts';

const UNKNOWN_EXIT = 255;
/** On one stream, and of one container, at a time. */
const MAX_PROCESSES = 1024;
/** Of processes that have ended: what was on its way to them is not a mistake of the client's. */
const MAX_ENDED = 16_384;
const MAX_ID = 256;

function exitOf(thrown: unknown): ExitMessage {
  const error = toBuildError(thrown);
  const exit = error.findDetail('gatewayapi.ExitMessage') as { Code?: unknown } | undefined;
  const code = typeof exit?.Code === 'number' ? exit.Code : UNKNOWN_EXIT;
  return { Code: code, Error: encodeStatus(error) };
}

/**
 * Serves one stream until the client has closed it and every process on it has ended. What breaks the protocol ends the
 * stream; a process that fails, or cannot be started, only says so in its Exit. The processes of a stream that ends are killed.
 */
export async function serveProcesses(
  find: (containerId: string) => GatewayContainer | undefined,
  input: MessageReader<ExecMessage>,
  out: MessageWriter<ExecMessage>,
  signal: AbortSignal,
): Promise<void> {
  const abort = new AbortController();
  const session = new ProcessStream(find, (m) => out.write(m), AbortSignal.any([signal, abort.signal]));
  try {
    for await (const message of input) await session.take(message);
    await session.ended();
  } finally {
    abort.abort(canceled());
    await session.ended().catch(() => {});
  }
}

class ProcessStream {
  readonly #find: (containerId: string) => GatewayContainer | undefined;
  readonly #send: (message: ExecMessage) => Promise<void>;
  readonly #signal: AbortSignal;
  readonly #links = new Map<string, ProcessLink>();
  readonly #ended = new Set<string>();
  readonly #running = new Set<Promise<void>>();

  constructor(
    find: (containerId: string) => GatewayContainer | undefined,
    send: (message: ExecMessage) => Promise<void>,
    signal: AbortSignal,
  ) {
    this.#find = find;
    this.#send = send;
    this.#signal = signal;
  }

  async ended(): Promise<void> {
    await Promise.all(this.#running);
  }

  async take({ ProcessID: id, Input: message }: ExecMessage): Promise<void> {
    if (id === '') throw invalidArgument('ProcessID required');
    const link = this.#links.get(id);
    const hasEnded = this.#ended.has(id);
    if (message?.$case === 'Init') {
      if (id.length > MAX_ID) throw invalidArgument(`ProcessID is longer than ${MAX_ID} characters`);
      if (link !== undefined || hasEnded) throw new BuildError(Code.AlreadyExists, `Process ${id} already exists`);
      await this.#init(id, message.value);
      return;
    }
    if (hasEnded || message === undefined || !['File', 'Resize', 'Signal'].includes(message.$case)) return;
    if (link === undefined) throw notFound(`IO for process "${id}" not found`);
    if (message.$case === 'File') await link.write(message.value);
    else if (message.$case === 'Resize') link.resize(message.value);
    else if (message.$case === 'Signal') link.signal(signalNumber(message.value.Name));
  }

  /** Resolves when the process runs, or will not. */
  async #init(id: string, init: InitMessage): Promise<void> {
    const container = this.#find(init.ContainerID);
    if (container === undefined) {
      throw notFound(`container "${init.ContainerID}" previously released or not created`);
    }
    if (this.#links.size >= MAX_PROCESSES || container.size >= MAX_PROCESSES) {
      throw new BuildError(Code.ResourceExhausted, `more than ${MAX_PROCESSES} processes`);
    }
    const link = new ProcessLink(id, init.Fds, this.#send);
    this.#links.set(id, link);
    const started = new Deferred();
    const process = this.#run(container, init, link, () => started.resolve()).finally(() => {
      started.resolve();
      link.close();
      this.#forget(id);
    });
    this.#running.add(process);
    process
      .catch((error: unknown) => logger.debug('process of a client ended unheard', { id, error }))
      .finally(() => this.#running.delete(process));
    await started.promise;
  }

  #forget(id: string): void {
    this.#links.delete(id);
    this.#ended.add(id);
    if (this.#ended.size <= MAX_ENDED) return;
    for (const oldest of this.#ended) {
      this.#ended.delete(oldest);
      break;
    }
  }

  async #run(container: GatewayContainer, init: InitMessage, link: ProcessLink, onUp: () => void): Promise<void> {
    const ProcessID = link.id;
    let isStarted = false;
    const sendStarted = (): void => {
      if (isStarted) return;
      isStarted = true;
      // Written before any output: writes keep their order.
      this.#send({ ProcessID, Input: { $case: 'Started', value: {} } }).catch(() => {});
      onUp();
    };
    let exit: ExitMessage = { Code: 0, Error: undefined };
    try {
      await container.start(init, link.io, this.#signal, sendStarted);
    } catch (error) {
      exit = exitOf(error);
    }
    sendStarted();
    await link.sendEnds();
    await this.#send({ ProcessID, Input: { $case: 'Exit', value: exit } });
    await this.#send({ ProcessID, Input: { $case: 'Done', value: {} } });
  }
}
