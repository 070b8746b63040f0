/** One process on a stream of ExecMessages: what the client sends it goes in, what it prints comes out. */
import { once } from 'node:events';
import { PassThrough, Writable } from 'node:stream';
import { BuildError, Code } from '../../base/index.ts';
import type { ProcessIo } from '../../executor/types.ts';
import type { ExecMessage, FdMessage, ResizeMessage } from '../../proto/gateway.pb.ts';
import { Mailbox } from './mailbox.ts';

export type Send = (message: ExecMessage) => Promise<void>;

/** What a client may send before the process reads it: others on the stream wait for what goes beyond. */
const MAX_STDIN = 1 << 20;
const MAX_SIGNALS = 64;
const [STDIN, STDOUT, STDERR] = [0, 1, 2];

class Output extends Writable {
  readonly #sendData: (data: Uint8Array) => Promise<void>;

  constructor(sendData: (data: Uint8Array) => Promise<void>) {
    super();
    this.#sendData = sendData;
    // Whoever writes is told; without a listener it would end this program.
    this.on('error', () => {});
  }

  override _write(chunk: Uint8Array, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#sendData(chunk).then(() => done(), done);
  }
}

export class ProcessLink {
  readonly id: string;
  readonly io: ProcessIo;
  /** The outputs that the client asked for. */
  readonly #outputs: readonly number[];
  readonly #send: Send;
  readonly #stdin: PassThrough | undefined;
  readonly #signals = new Mailbox<number>(MAX_SIGNALS);
  /** Only the last size matters. */
  readonly #sizes = new Mailbox<{ rows: number; cols: number }>(1);

  /** `fds` are those that the client has an end of; what is beyond the three of every process is never opened. */
  constructor(id: string, fds: readonly number[], send: Send) {
    this.id = id;
    this.#send = send;
    this.#outputs = [STDOUT, STDERR].filter((fd) => fds.includes(fd));
    this.#stdin = fds.includes(STDIN) ? new PassThrough({ highWaterMark: MAX_STDIN }) : undefined;
    const output = (fd: number): Writable | undefined =>
      this.#outputs.includes(fd) ? new Output((data) => this.#sendFile({ Fd: fd, EOF: false, Data: data })) : undefined;
    this.io = {
      stdin: this.#stdin,
      stdout: output(STDOUT),
      stderr: output(STDERR),
      signals: this.#signals as AsyncIterable<number>,
      resizes: this.#sizes,
    };
  }

  #sendFile(value: FdMessage): Promise<void> {
    return this.#send({ ProcessID: this.id, Input: { $case: 'File', value } });
  }

  /** Waits while the process does not read. */
  async write({ Fd, EOF, Data }: FdMessage): Promise<void> {
    const stdin = this.#stdin;
    // One that has ended, or whose end was sent: what comes late is dropped.
    if (stdin?.destroyed === true) return;
    if (Fd !== STDIN || stdin === undefined || stdin.writableEnded) {
      throw new BuildError(Code.OutOfRange, `fd ${Fd} unavailable to write`);
    }
    if (Data.length > 0 && !stdin.write(Data)) {
      const waiting = new AbortController();
      const { signal } = waiting;
      await Promise.race([once(stdin, 'drain', { signal }), once(stdin, 'close', { signal })]);
      waiting.abort();
    }
    if (EOF) stdin.end();
  }

  resize({ Rows, Cols }: ResizeMessage): void {
    this.#sizes.put({ rows: Rows, cols: Cols });
  }

  signal(number: number): void {
    this.#signals.put(number);
  }

  /** The ends of the outputs, after the last of them. */
  async sendEnds(): Promise<void> {
    for (const fd of this.#outputs) await this.#sendFile({ Fd: fd, EOF: true, Data: new Uint8Array() });
  }

  close(): void {
    this.#stdin?.destroy();
    this.#signals.close();
    this.#sizes.close();
    this.io.stdout?.destroy();
    this.io.stderr?.destroy();
  }
}
