/** Sends spans to a collector in batches. A collector that is away costs the spans of that time and nothing else. */
import { logger, toBuildError } from '../base/index.ts';
import { ExportTraceServiceRequest, TraceServiceDefinition } from '../proto/trace.pb.ts';
import { createChannel, dial } from '../rpc/index.ts';
import type { Channel } from '../rpc/index.ts';
import type { OtlpSettings } from './otlp-settings.ts';

export interface SpanExporter {
  /** Takes encoded ResourceSpans and returns at once. */
  export(batch: readonly Uint8Array[]): void;
  /** Sends what is left, for a few seconds at most. */
  close(): Promise<void>;
}

const BATCH_MS = 1000;
const MAX_BATCH_BYTES = 2 * 2 ** 20;
const MAX_QUEUE_BYTES = 16 * 2 ** 20;
const CLOSE_MS = 5000;

export function createOtlpExporter(settings: OtlpSettings): SpanExporter {
  return new BatchExporter(settings.protocol === 'grpc' ? grpcSender(settings) : httpSender(settings));
}

interface Sender {
  send(batch: readonly Uint8Array[], signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

class BatchExporter implements SpanExporter {
  readonly #sender: Sender;
  readonly #closing = new AbortController();
  #queue: Uint8Array[] = [];
  #bytes = 0;
  #timer: NodeJS.Timeout | undefined;
  #sending: Promise<void> | undefined;
  #isAway = false;

  constructor(sender: Sender) {
    this.#sender = sender;
  }

  export(batch: readonly Uint8Array[]): void {
    for (const spans of batch) {
      if (this.#bytes + spans.length > MAX_QUEUE_BYTES) {
        logger.debug('spans are dropped: the trace collector is too slow');
        break;
      }
      this.#queue.push(spans);
      this.#bytes += spans.length;
    }
    this.#timer ??= setTimeout(() => void this.#flush(), BATCH_MS).unref();
  }

  #flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#sending ??= this.#sendAll().finally(() => (this.#sending = undefined));
    return this.#sending;
  }

  async #sendAll(): Promise<void> {
    while (this.#queue.length > 0) {
      let bytes = 0;
      let count = 0;
      while (count < this.#queue.length && (count === 0 || bytes + this.#queue[count].length <= MAX_BATCH_BYTES)) {
        bytes += this.#queue[count++].length;
      }
      const batch = this.#queue.splice(0, count);
      this.#bytes -= bytes;
      try {
        await this.#sender.send(batch, this.#closing.signal);
        this.#isAway = false;
      } catch (error) {
        // Once for each time that it is away.
        if (!this.#isAway) logger.warn('failed to export spans', { error: toBuildError(error) });
        this.#isAway = true;
      }
    }
  }

  async close(): Promise<void> {
    const timer = setTimeout(() => this.#closing.abort(), CLOSE_MS);
    try {
      await this.#flush();
    } finally {
      clearTimeout(timer);
      await this.#sender.close();
    }
  }
}

function grpcSender({ endpoint, ca, headers, timeoutMs }: OtlpSettings): Sender {
  let channel: Channel | undefined;
  const connected = async (signal: AbortSignal): Promise<Channel> => {
    if (channel !== undefined) return channel;
    const tls = ca === undefined ? {} : { tls: { ca: Buffer.from(ca) } };
    const made = createChannel(await dial(endpoint, { ...tls, timeoutMs, signal }));
    channel = made;
    void made.closed.then(() => {
      if (channel === made) channel = undefined;
    });
    return made;
  };
  return {
    async send(batch, signal) {
      const request = { resourceSpans: [...batch] };
      const call = { metadata: headers.map(([k, v]) => [k.toLowerCase(), v] as const), timeoutMs, signal };
      const open = await connected(signal);
      await open.unary(TraceServiceDefinition, TraceServiceDefinition.methods.export, request, call);
    },
    async close() {
      await channel?.close();
    },
  };
}

function httpSender({ endpoint, ca, headers, timeoutMs }: OtlpSettings): Sender {
  return {
    async send(batch, signal) {
      const body = ExportTraceServiceRequest.encode({ resourceSpans: [...batch] }).finish();
      await post(endpoint, { ca, headers, body, signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]) });
    },
    close: () => Promise.resolve(),
  };
}

async function post(
  url: string,
  request: {
    readonly ca: string | undefined;
    readonly headers: readonly (readonly [string, string])[];
    readonly body: Uint8Array;
    readonly signal: AbortSignal;
  },
): Promise<void> {
  const { ca, headers, body, signal } = request;
  const options = {
    method: 'POST',
    headers: {
      ...Object.fromEntries(headers),
      'content-type': 'application/x-protobuf',
      'content-length': body.length,
    },
    signal,
  };
  const [http, https] = await Promise.all([import('node:http'), import('node:https')]);
  const status = await new Promise<number>((resolve, reject) => {
    const call = ca === undefined ? http.request(url, options) : https.request(url, { ...options, ca });
    call.once('error', reject);
    call.once('response', (response) => {
      // The answer's text is nothing that would change what is done.
      response
        .on('error', reject)
        .on('end', () => resolve(response.statusCode ?? 0))
        .resume();
    });
    call.end(body);
  });
  if (status < 200 || status > 299) throw new Error(`the trace collector answered with status ${status}`);
}
