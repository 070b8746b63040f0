/** One step's proxy as a job of the worker thread. */
import { canceled, Deferred } from '../base/index.ts';
import type { JobContext } from '../base/index.ts';
import { inNetworkNamespace, listenTcp } from '../host/index.ts';
import type { FromGuard, GuardArguments, ToGuard } from './messages.ts';
import { ProxyServer } from './proxy-server.ts';
import { ServerContexts } from './server-contexts.ts';
import type { Judge } from './types.ts';

const BACKLOG = 128;

/** Asks the thread that knows the policies. */
class RemoteJudge {
  readonly #emit: (message: FromGuard) => void;
  readonly #asked = new Map<number, Deferred<string | undefined>>();
  #lastId = 0;

  constructor(emit: (message: FromGuard) => void) {
    this.#emit = emit;
  }

  readonly judge: Judge = async (request, signal) => {
    signal.throwIfAborted();
    const id = ++this.#lastId;
    const answer = new Deferred<string | undefined>();
    const onAbort = (): void => {
      this.#emit({ kind: 'forget', id });
      answer.reject(canceled());
    };
    this.#asked.set(id, answer);
    signal.addEventListener('abort', onAbort, { once: true });
    this.#emit({ kind: 'judge', id, request });
    try {
      return await answer.promise;
    } finally {
      signal.removeEventListener('abort', onAbort);
      this.#asked.delete(id);
    }
  };

  conclude({ id, allowed, url }: Extract<ToGuard, { kind: 'verdict' }>): void {
    if (allowed) this.#asked.get(id)?.resolve(url);
    else this.#asked.get(id)?.reject(new Error('denied'));
  }
}

/** Of one authority: all steps of a daemon have the same. */
let contexts: { readonly key: string; readonly of: ServerContexts } | undefined;

export async function guardJob(args: GuardArguments, context: JobContext): Promise<void> {
  const { authority, egress } = args;
  const emit = (message: FromGuard): void => context.emit(message);
  const remote = new RemoteJudge(emit);
  const stopped = new Deferred();
  context.onMessage = (message: ToGuard) => {
    if (message.kind === 'stop') stopped.resolve();
    else remote.conclude(message);
  };
  if (contexts?.key !== authority.key) contexts = { key: authority.key, of: new ServerContexts(authority) };
  const server = new ProxyServer({
    egress,
    contexts: contexts.of,
    judge: args.isJudged ? remote.judge : undefined,
    note: (note) => emit({ kind: 'note', note }),
  });
  try {
    const port = await server.listen(inNetworkNamespace(args.namespace, () => listenTcp(args.address, BACKLOG)));
    emit({ kind: 'listening', port });
    await stopped.promise;
  } finally {
    await server.close();
  }
}
