/** A daemon of a test's own with a look inside, and a web server whose answers the test decides. */
import { createServer } from 'node:http';
import type { RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { Daemon } from '../system/daemon.ts';
import { until } from '../system/process.ts';
import type { Ended } from '../system/process.ts';
import { makeScratch, writeContext } from '../system/scratch.ts';
import type { Scratch } from '../system/scratch.ts';
import { Inspector } from './inspector.ts';
import { takeInventory } from './inventory.ts';
import type { Check } from './inventory.ts';

export class Stand {
  readonly scratch: Scratch;
  readonly daemon: Daemon;
  readonly inspector: Inspector;
  /** Fails when anything of a build is left. */
  readonly nothingIsLeft: Check;
  /** By the path of the request, with its query; `*` for all that is not there. */
  readonly routes = new Map<string, RequestListener>();
  readonly asked: string[] = [];
  readonly #server = createServer((request, response) => {
    this.asked.push(`${request.method} ${request.url}`);
    const route = this.routes.get(request.url ?? '') ?? this.routes.get('*');
    response.on('error', () => {});
    if (route === undefined) response.writeHead(404).end('no such file');
    else route(request, response);
  });
  #builds = 0;

  private constructor(scratch: Scratch, daemon: Daemon, inspector: Inspector, nothingIsLeft: Check) {
    this.scratch = scratch;
    this.daemon = daemon;
    this.inspector = inspector;
    this.nothingIsLeft = nothingIsLeft;
  }

  static async start(...flags: string[]): Promise<Stand> {
    const scratch = await makeScratch();
    let daemon: Daemon | undefined;
    try {
      daemon = await Daemon.start(scratch.folder, ...flags);
      const inspector = await Inspector.attach(daemon);
      // What the daemon has for all builds is there after the first one.
      const warm = writeContext(join(scratch.folder, 'warm'), { Dockerfile: 'FROM busybox\nRUN true\n' });
      await daemon.ask(...warm, ...scratch.busybox);
      const stand = new Stand(scratch, daemon, inspector, await takeInventory(daemon, inspector));
      await new Promise<void>((resolve) => stand.#server.listen(0, '127.0.0.1', resolve));
      return stand;
    } catch (error) {
      await daemon?.end();
      await scratch.remove();
      throw error;
    }
  }

  get host(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get url(): string {
    return `http://${this.host}`;
  }

  /** Arguments of a build of these files. */
  context(files: Readonly<Record<string, string>>, ...more: string[]): string[] {
    return [...writeContext(join(this.scratch.folder, `build-${++this.#builds}`), files), ...more];
  }

  build(dockerfile: string, ...more: string[]): Promise<Ended> {
    return this.daemon.buildctl([], this.context({ Dockerfile: dockerfile }, ...more));
  }

  /** A build that is given up once `when` is so. */
  async giveUp(when: string, is: () => boolean, args: readonly string[]): Promise<Ended> {
    const waiting = this.daemon.spawnBuildctl(args);
    await until(when, is, 30_000).catch((error: Error) => {
      throw new Error(`${error.message}\n${waiting.stderr}`);
    });
    waiting.signal('SIGINT');
    return waiting.ended;
  }

  async end(): Promise<void> {
    this.inspector.close();
    await this.daemon.end();
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
    await this.scratch.remove();
  }
}
