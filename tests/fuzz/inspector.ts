/** A look inside a running daemon, by Node's own inspector, which SIGUSR1 opens. */
import type { Daemon } from '../system/daemon.ts';
import { until } from '../system/process.ts';

interface Answer {
  readonly id: number;
  readonly error?: { readonly message: string };
  readonly result?: { readonly result?: { readonly value?: unknown } };
}

export class Inspector {
  readonly #socket: WebSocket;
  readonly #asked = new Map<number, (answer: Answer) => void>();
  #next = 1;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.addEventListener('message', ({ data }: MessageEvent) => {
      const answer = JSON.parse(String(data)) as Answer;
      this.#asked.get(answer.id)?.(answer);
      this.#asked.delete(answer.id);
    });
  }

  static async attach(daemon: Daemon): Promise<Inspector> {
    const url = (): string | undefined => /Debugger listening on (ws:\S+)/.exec(daemon.log)?.[1];
    if (url() === undefined) process.kill(daemon.pid, 'SIGUSR1');
    await until('the inspector listens', () => url() !== undefined);
    const socket = new WebSocket(url() as string);
    await new Promise<void>((resolve, reject) => {
      socket.addEventListener('open', () => resolve());
      socket.addEventListener('error', () => reject(new Error('the inspector refuses')));
    });
    return new Inspector(socket);
  }

  async #ask(method: string, params: Readonly<Record<string, unknown>> = {}): Promise<Answer> {
    const id = this.#next++;
    const answered = new Promise<Answer>((resolve) => this.#asked.set(id, resolve));
    this.#socket.send(JSON.stringify({ id, method, params }));
    const answer = await answered;
    if (answer.error !== undefined) throw new Error(`${method}: ${answer.error.message}`);
    return answer;
  }

  /** The value of the expression, which must be data. */
  async evaluate<T>(expression: string): Promise<T> {
    const { result } = await this.#ask('Runtime.evaluate', { expression, returnByValue: true });
    return result?.result?.value as T;
  }

  /** Of what is reachable, in bytes. */
  async heapUsed(): Promise<number> {
    for (let i = 0; i < 3; i++) await this.#ask('HeapProfiler.collectGarbage');
    return this.evaluate<number>('process.memoryUsage().heapUsed');
  }

  close(): void {
    this.#socket.close();
  }
}
