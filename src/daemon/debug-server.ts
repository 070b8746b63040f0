/**
 * What `--debugaddr` serves by HTTP, for whoever looks into a running daemon: numbers of the process, profiles and heap
 * snapshots in V8's own formats. Deliberately absent: pprof's format, which nothing in Node writes.
 */
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { readdirSync } from 'node:fs';
import type { Socket } from 'node:net';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { pipeline } from 'node:stream/promises';
import { getHeapSnapshot, getHeapSpaceStatistics, getHeapStatistics } from 'node:v8';
import { logger, VERSION } from '../base/index.ts';
import { openListener } from './listeners.ts';

export interface DebugServer {
  readonly address: string;
  close(): Promise<void>;
}

const PROFILE_SECONDS = 30;
const MAX_PROFILE_SECONDS = 600;
const DELAY_MS = 20;

type Handler = (request: IncomingMessage, response: ServerResponse, query: URLSearchParams) => void | Promise<void>;

/**
 * `address`: `host:port`, `tcp://host:port` or `unix://path`. Throws InvalidArgument for one that is none. `collect` gives
 * memory back that is not needed.
 */
export async function openDebugServer(address: string, collect: () => void): Promise<DebugServer> {
  const delay = monitorEventLoopDelay({ resolution: DELAY_MS });
  delay.enable();
  const pages = new Map<string, Handler>([
    ['/debug/vars', (_, response) => send(response, 'application/json', `${JSON.stringify(variables(), null, 2)}\n`)],
    ['/debug/pprof/profile', (_, response, query) => profile(response, query)],
    ['/debug/pprof/heap', (_, response) => heap(response)],
    [
      '/debug/gc',
      (_, response) => {
        collect();
        send(response, 'text/plain', 'triggered GC\n');
      },
    ],
    ['/metrics', (_, response) => send(response, 'text/plain; version=0.0.4', metrics(delay.percentile(99) / 1e9))],
  ]);
  const index: Handler = (_, response) => send(response, 'text/plain', `${[...pages.keys()].join('\n')}\n`);
  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost');
    const page = pathname === '/' ? index : pages.get(pathname);
    if (page === undefined || request.method !== 'GET') {
      send(response, 'text/plain', '404 page not found\n', 404);
      return;
    }
    void (async () => page(request, response, searchParams))().catch((error: unknown) => {
      logger.warn('a debug page failed', { page: pathname, error });
      if (response.headersSent) response.destroy();
      else send(response, 'text/plain', `${error instanceof Error ? error.message : String(error)}\n`, 500);
    });
  });
  const serve = async (socket: Socket): Promise<void> => {
    server.emit('connection', socket);
    await Promise.resolve();
  };
  const listener = await openListener(/:\/\//.test(address) ? address : `tcp://${address}`, {
    uid: undefined,
    gid: undefined,
    tls: undefined,
    serve,
  });
  logger.debug(`debug handlers listening at ${listener.address}`);
  return {
    address: listener.address,
    async close() {
      delay.disable();
      await listener.close();
    },
  };
}

function send(response: ServerResponse, type: string, text: string, status = 200): void {
  response.writeHead(status, { 'content-type': type }).end(text);
}

function variables(): object {
  return {
    cmdline: process.argv,
    version: VERSION,
    pid: process.pid,
    uptimeSeconds: process.uptime(),
    memstats: process.memoryUsage(),
    heap: getHeapStatistics(),
    heapSpaces: getHeapSpaceStatistics(),
    resources: process.getActiveResourcesInfo().reduce<Record<string, number>>((counts, name) => {
      counts[name] = (counts[name] ?? 0) + 1;
      return counts;
    }, {}),
  };
}

/** A .cpuprofile of the main thread, which browsers and editors open. */
async function profile(response: ServerResponse, query: URLSearchParams): Promise<void> {
  const seconds = Number(query.get('seconds') ?? PROFILE_SECONDS);
  if (!(seconds > 0 && seconds <= MAX_PROFILE_SECONDS)) {
    send(response, 'text/plain', `seconds must be from 0 to ${MAX_PROFILE_SECONDS}\n`, 400);
    return;
  }
  const { Session } = await import('node:inspector/promises');
  const session = new Session();
  session.connect();
  try {
    await session.post('Profiler.enable');
    await session.post('Profiler.start');
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, seconds * 1000);
      // Whoever asked has gone: nobody waits for the rest.
      response.once('close', () => {
        clearTimeout(timer);
        resolve();
      });
    });
    const { profile: found } = await session.post('Profiler.stop');
    if (!response.destroyed) send(response, 'application/json', JSON.stringify(found));
  } finally {
    session.disconnect();
  }
}

/** A .heapsnapshot. The daemon answers nobody while it is made. */
async function heap(response: ServerResponse): Promise<void> {
  response.writeHead(200, { 'content-type': 'application/json' });
  await pipeline(getHeapSnapshot(), response);
}

/** Prometheus' text format, with its names for processes. */
function metrics(eventLoopDelaySeconds: number): string {
  const { rss, heapUsed } = process.memoryUsage();
  const { user, system } = process.cpuUsage();
  const values: readonly (readonly [name: string, type: 'gauge' | 'counter', help: string, value: number])[] = [
    ['process_cpu_seconds_total', 'counter', 'Total user and system CPU time spent in seconds.', (user + system) / 1e6],
    ['process_resident_memory_bytes', 'gauge', 'Resident memory size in bytes.', rss],
    ['process_start_time_seconds', 'gauge', 'Start time of the process since unix epoch in seconds.', startSeconds()],
    ['process_open_fds', 'gauge', 'Number of open file descriptors.', openDescriptors()],
    ['nodejs_heap_size_used_bytes', 'gauge', 'Heap in use in bytes.', heapUsed],
    ['nodejs_eventloop_delay_p99_seconds', 'gauge', 'Delay of the event loop, 99th percentile.', eventLoopDelaySeconds],
  ];
  return values
    .map(([name, type, help, value]) => `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${name} ${value}\n`)
    .join('');
}

function startSeconds(): number {
  return Math.round(Date.now() / 1000 - process.uptime());
}

function openDescriptors(): number {
  try {
    return readdirSync('/proc/self/fd').length;
  } catch {
    return Number.NaN;
  }
}
