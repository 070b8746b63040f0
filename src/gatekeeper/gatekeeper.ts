import { abortReason, Deferred, logger, ThreadPool, workerEntry } from '../base/index.ts';
import { makeAuthority } from './certificate.ts';
import type { Authority } from './certificate.ts';
import type { FromGuard, GuardArguments, ToGuard } from './messages.ts';
import type { Guard, Post } from './types.ts';

/** Steps whose proxies run at a time: they wait most of it. */
const MAX_GUARDS = 16_384;

/** Verdicts that are being sought. */
class Verdicts {
  readonly #open = new Map<number, AbortController>();

  async seek(
    judge: NonNullable<Post['judge']>,
    { id, request }: Extract<FromGuard, { kind: 'judge' }>,
  ): Promise<ToGuard> {
    const abort = new AbortController();
    this.#open.set(id, abort);
    try {
      const url = await judge(request, abort.signal);
      return { kind: 'verdict', id, allowed: true, ...(url === undefined ? {} : { url }) };
    } catch (error) {
      logger.debug('request of a step denied', { url: request.url, error });
      return { kind: 'verdict', id, allowed: false };
    } finally {
      this.#open.delete(id);
    }
  }

  forget(id: number): void {
    this.#open.get(id)?.abort();
  }

  close(): void {
    for (const abort of this.#open.values()) abort.abort();
  }
}

/** The proxies of a daemon's steps. */
export class Gatekeeper {
  readonly #pool = new ThreadPool(workerEntry(import.meta.url, 'gatekeeper.worker'), { max: 1, perThread: MAX_GUARDS });
  #authority: Promise<Authority> | undefined;

  /** Made when the first step needs it, for all that follow. */
  async #authorityOf(): Promise<Authority> {
    this.#authority ??= makeAuthority(Date.now());
    try {
      return await this.#authority;
    } catch (error) {
      this.#authority = undefined;
      throw error;
    }
  }

  /** Resolves when the proxy listens. The caller closes it when no process of the step is left, whatever `signal` says. */
  async guard(post: Post, signal: AbortSignal): Promise<Guard> {
    const authority = await this.#authorityOf();
    if (signal.aborted) throw abortReason(signal);
    const listening = new Deferred<number>();
    const verdicts = new Verdicts();
    const args: GuardArguments = {
      namespace: post.namespace,
      address: post.address,
      egress: post.egress,
      authority,
      isJudged: post.judge !== undefined,
    };
    const running = this.#pool.start<void>('guard', args, {
      onMessage(message: FromGuard) {
        if (message.kind === 'listening') listening.resolve(message.port);
        else if (message.kind === 'note') post.note(message.note);
        else if (message.kind === 'forget') verdicts.forget(message.id);
        else if (post.judge !== undefined) {
          void verdicts.seek(post.judge, message).then((verdict) => running.post(verdict));
        }
      },
    });
    const ended = running.result.catch((error: unknown) => {
      listening.reject(error);
      // Of what was asked from now on nobody knows; the step finds no proxy any more.
      post.note({ kind: 'incomplete', method: '', url: '', reason: 'proxy_failed' });
      logger.error('the proxy of a step failed', { error });
    });
    const port = await listening.promise;
    return {
      port,
      authority: authority.cert,
      async close() {
        running.post({ kind: 'stop' } satisfies ToGuard);
        await ended;
        verdicts.close();
      },
    };
  }

  /** Ends the thread; no guard is held any more. */
  close(): Promise<void> {
    return this.#pool.close();
  }
}
