/** One request on its way to the server and the answer on its way back, as streams. */
import { createHash } from 'node:crypto';
import { request as requestPlain } from 'node:http';
import type { ClientRequest, IncomingMessage, RequestOptions, ServerResponse } from 'node:http';
import { request as requestSecure } from 'node:https';
import { pipeline } from 'node:stream/promises';
import { networkText } from '../http/index.ts';
import type { Agents } from './dial.ts';
import { requestHeaders, responseHeaders } from './headers.ts';
import { MAX_HEADER_BYTES, SILENCE_MS } from './limits.ts';
import { targetOf } from './target.ts';
import type { Target } from './target.ts';
import type { Note } from './types.ts';

export interface Passage {
  readonly agents: Agents;
  readonly note: (note: Note) => void;
  /** Aborted when the step does not wait any more. */
  readonly signal: AbortSignal;
}

/** How long what the step still sends is taken after the answer has ended. */
const LATE_BODY_MS = 5000;

function send(from: IncomingMessage, target: Target, { agents, signal }: Passage): ClientRequest {
  const options: RequestOptions = {
    agent: target.secure ? agents.secure : agents.plain,
    host: target.host,
    port: target.port,
    method: from.method ?? 'GET',
    path: target.path,
    headers: requestHeaders(from.rawHeaders, target),
    maxHeaderSize: MAX_HEADER_BYTES,
    timeout: SILENCE_MS,
    signal,
  };
  const sent = target.secure ? requestSecure(options) : requestPlain(options);
  sent.on('timeout', () => sent.destroy(Object.assign(new Error('silence'), { code: 'UND_ERR_HEADERS_TIMEOUT' })));
  return sent;
}

/** The answer; what the step sends goes on flowing. When it breaks off, the passage's signal tells. */
function answerTo(from: IncomingMessage, sent: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    sent.once('response', resolve);
    sent.once('upgrade', (_answer, socket) => {
      socket.destroy();
      reject(new Error('net/http: HTTP/1.x transport connection broken: unexpected status 101'));
    });
    // Stays: a connection may fail once more after the answer.
    sent.on('error', reject);
    // No pipeline: where the server fails, the step's connection is to carry an answer still.
    from.pipe(sent);
  });
}

function redirectOf(target: Target, location: string | undefined): { redirect?: string } {
  if (location === undefined) return {};
  try {
    const base = `${target.secure ? 'https' : 'http'}://${target.authority}${target.path}`;
    return { redirect: targetOf(new URL(location, base).href).shown };
  } catch {
    // Leads nowhere.
    return {};
  }
}

/** Why nobody could get the same again, in upstream's words; undefined: one could. `isWhole`: all of the body has come. */
function incompleteReason(from: IncomingMessage, answer: IncomingMessage, isWhole: boolean): string | undefined {
  const status = answer.statusCode ?? 0;
  if (from.method !== 'GET') return 'method_not_materializable';
  if (from.headers.range !== undefined || status === 206) return 'partial_response';
  if (!isWhole) return 'body_read_failed';
  return status >= 400 ? 'unsuccessful_response' : undefined;
}

/** The body to the step, its digest back; undefined where it did not come whole. The step's connection ends then. */
async function passBody(answer: IncomingMessage, to: ServerResponse): Promise<string | undefined> {
  const hash = createHash('sha256');
  let isWhole = false;
  const hashed = async function* (chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of chunks) {
      hash.update(chunk);
      yield chunk;
    }
    isWhole = answer.complete;
  };
  try {
    await pipeline(answer, hashed, to);
  } catch {
    // A length or a last chunk is missing: the step sees it by the end of its connection.
    to.destroy();
  }
  return isWhole ? hash.digest('hex') : undefined;
}

/** A server may answer without taking all that it is sent. */
function endUpload(from: IncomingMessage, sent: ClientRequest): void {
  if (from.complete) return;
  const timer = setTimeout(() => {
    sent.destroy();
    from.destroy();
  }, LATE_BODY_MS);
  for (const event of ['end', 'close']) from.once(event, () => clearTimeout(timer));
}

/** Never rejects: what goes wrong is the answer. */
export async function passOn(
  from: IncomingMessage,
  to: ServerResponse,
  target: Target,
  passage: Passage,
): Promise<void> {
  const { note, signal } = passage;
  const asked = { method: from.method ?? 'GET', url: target.shown };
  let answer: IncomingMessage;
  let sent: ClientRequest | undefined;
  try {
    sent = send(from, target, passage);
    answer = await answerTo(from, sent);
    to.writeHead(answer.statusCode ?? 502, answer.statusMessage, responseHeaders(answer.rawHeaders));
  } catch (error) {
    sent?.destroy();
    // Nobody has heard an answer, so there was none.
    note({ kind: 'request', ...asked, status: signal.aborted ? 0 : 502 });
    note({ kind: 'incomplete', ...asked, reason: 'upstream_error' });
    if (!signal.aborted) refuse(to, 502, networkText(error, new URL(target.url), 'EOF'));
    return;
  }
  const redirect = redirectOf(target, answer.headers.location);
  note({ kind: 'request', ...asked, status: answer.statusCode ?? 0, ...redirect });
  const sha256 = await passBody(answer, to);
  const reason = incompleteReason(from, answer, sha256 !== undefined);
  if (reason !== undefined) note({ kind: 'incomplete', ...asked, reason });
  else if (sha256 !== undefined && (answer.statusCode ?? 0) < 300) {
    note({ kind: 'material', url: target.shown, sha256 });
  }
  endUpload(from, sent);
}

/** An answer of the proxy's own, the last on its connection. */
export function refuse(to: ServerResponse, status: number, why: string): void {
  if (to.headersSent || to.destroyed) {
    to.destroy();
    return;
  }
  const text = `${why}\n`;
  to.writeHead(status, {
    'Content-Type': 'text/plain; charset=utf-8',
    'X-Content-Type-Options': 'nosniff',
    'Content-Length': Buffer.byteLength(text),
    Connection: 'close',
  });
  to.end(text);
}
